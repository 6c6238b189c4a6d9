"""hyperbolic-seg train and test."""

import pytest


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_doors(command, capfd, tool):
    named = command(tool)
    assert named.code == 2 and 'unet_cloud' in named.err
    wrong = command(tool, 'unet_clod', '--work-dir', 'x')
    assert wrong.code == 2 and 'Those are like unet_cloud' in wrong.err
    assert command(tool, '--help').code == 0
    assert '--cfg-options' in capfd.readouterr().out, 'the help is that of the tool'


def test_options_and_exit_codes_pass_through(command, capfd, tmp_path):
    done = command('train', 'unet_cloud', '--work-dir', tmp_path, '--cfg-options', 'model.type=NoSuchModel')
    assert done.code == 1
    assert 'NoSuchModel' in capfd.readouterr().err
