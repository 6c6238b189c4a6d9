"""hyperbolic-seg train and test."""

import pytest
from typer.testing import CliRunner

from hyperbolic_seg.app.cli.app import app


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_doors(command, tool):
    named = command(tool)
    assert named.code == 2 and 'unet_cloud' in named.err
    wrong = command(tool, 'unet_clod', '--work-dir', 'x')
    assert wrong.code == 2 and 'Those are like unet_cloud' in wrong.err
    helped = command(tool, '--help')
    assert helped.code == 0 and '--cfg-options' in helped.out, 'the help is that of the tool'


def test_options_and_exit_codes_pass_through(command, tmp_path):
    misfit = command('test', 'unet_cloud', 'none', '--work-dir', tmp_path, '--prompts', 'clear sky', 'cloud')
    assert misfit.code == 1 and '--prompts needs a head that classifies by words' in misfit.out + misfit.err
    unknown = ['train', 'unet_cloud', '--work-dir', tmp_path, '--cfg-options', 'model.type=NoSuchModel']
    with pytest.raises(KeyError, match='NoSuchModel'):  # a shell sees it with exit code 1
        CliRunner().invoke(app, list(map(str, unknown)), catch_exceptions=False)
