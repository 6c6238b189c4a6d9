"""hyperbolic-seg train and test."""

import pytest
from typer.testing import CliRunner

from hyperbolic_seg.app.cli.app import app


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_a_config_is_found_by_name_and_help_is_that_of_the_tool(command, tool):
    named = command(tool)
    assert named.code == 2 and 'unet_cloud' in named.err
    wrong = command(tool, 'unet_clod', *(['none'] if tool == 'test' else []), '--work-dir', 'x')
    assert wrong.code == 2 and 'Similar ones are unet_cloud' in wrong.err
    for arguments in (['--help'], ['unet_cloud', '--help']):
        helped = command(tool, *arguments)
        assert helped.code == 0 and '--cfg-options' in helped.out and f'usage: hyperbolic-seg {tool}' in helped.out


def test_options_and_errors_of_the_tool_pass_through(command, tmp_path):
    misfit = command('test', 'unet_cloud', 'none', '--work-dir', tmp_path, '--prompts', 'clear sky', 'cloud')
    assert misfit.code == 1 and '--prompts needs a head that classifies by text' in misfit.out + misfit.err
    unknown = ['train', 'unet_cloud', '--work-dir', tmp_path, '--cfg-options', 'model.type=NoSuchModel']
    with pytest.raises(KeyError, match='NoSuchModel'):  # a shell sees it with exit code 1
        CliRunner().invoke(app, list(map(str, unknown)), catch_exceptions=False)
