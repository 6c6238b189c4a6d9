"""Options and console output of a training; tests/tools/test_tools.py runs whole trainings."""

import argparse

import pytest
from mmengine.config import DictAction

from hyperbolic_seg.engine.launch import parse_cfg_options

SETTINGS = ['a.b=1', 'c=[1,2]', 'd=(x,[y,z])', 'e=None', 'f=true', 'g=1e-3', 'h=a=b', 'i="text"', 'j=1,2']


def test_settings_are_parsed_as_by_the_action_of_mmengine():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    assert parse_cfg_options(SETTINGS) == parser.parse_args(['--cfg-options', *SETTINGS]).cfg_options
    assert parse_cfg_options(None) == {}


@pytest.mark.parametrize('setting, message', [('a.b', 'expected key=value'), ('a=1,(2', 'brackets')])
def test_a_setting_that_cannot_be_parsed_is_named(setting, message):
    with pytest.raises(ValueError, match=rf'--cfg-options.*{message}'):
        parse_cfg_options([setting])
