import os
import subprocess
import sys
from types import SimpleNamespace

import cv2
import pytest
from typer.testing import CliRunner

from hyperbolic_seg.app.cli.app import app
from hyperbolic_seg.sky.renderer import render_sky


@pytest.fixture
def command():
    """Runs the command; code, out and err are what a shell would see."""

    def run(*arguments):
        done = CliRunner(env=dict(COLUMNS='200')).invoke(app, [str(argument) for argument in arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        words = ' '.join(done.stderr.split())  # however wide the terminal
        return SimpleNamespace(code=done.exit_code, out=done.stdout, err=words)

    return run


OF_TORCH = ('torch', 'torchvision', 'mmseg', 'mmcv', 'mmengine', 'open_clip', 'timm', 'geoopt')
COMMAND = 'sys.argv[0] = "hyperbolic-seg"; from hyperbolic_seg.app.cli.main import main; main()'


@pytest.fixture
def without_torch(tmp_path):
    """Runs Python code, or the command with arguments, where imports of PyTorch and more fail."""

    def run(*arguments, code=COMMAND, absent=(), **environment):
        code = f'import sys; sys.modules.update(dict.fromkeys({[*OF_TORCH, *absent]})); {code}'
        given = [sys.executable, '-c', code, *map(str, arguments)]
        return subprocess.run(given, capture_output=True, text=True, cwd=tmp_path, env=os.environ | environment)

    return run


@pytest.fixture
def images(tmp_path):
    """Three images, and a file that is none."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for number, (height, width) in enumerate([(64, 80), (50, 64), (64, 64)]):
        sky = render_sky(3 + number, max(height, width)).image[:height, :width, ::-1]
        assert cv2.imwrite(str(folder / f'{number}.png'), sky)
    (folder / 'broken.jpg').write_bytes(b'no image')
    return folder
