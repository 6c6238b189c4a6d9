"""What a command imports before it does anything."""

import json
import subprocess
import sys

import pytest

HEAVY = ('torch', 'torchvision', 'mmcv', 'mmengine', 'mmseg', 'open_clip', 'timm', 'dask', 'distributed', 'pyarrow')
# Runs the command, and then writes the modules that are imported, one a line, to the file that is named first.
SCRIPT = """
import sys
from pathlib import Path
from hyperbolic_seg.app.cli.main import main

sys.argv = ['hyperbolic-seg', *sys.argv[2:]] if (file := sys.argv[1]) else []
try:
    main()
finally:
    Path(file).write_text('\\n'.join(sys.modules))
"""


@pytest.fixture
def modules(tmp_path):
    """Runs the command in a process of its own; returns it and the modules it has imported at its end."""

    def run(*arguments):
        file = tmp_path / 'modules.txt'
        command = [sys.executable, '-c', SCRIPT, file, *arguments]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=tmp_path)
        return done, set(file.read_text().splitlines())

    return run


@pytest.mark.parametrize(
    'arguments',
    [
        ['--help'],
        ['--version'],
        *([name, '--help'] for name in ('predict', 'watch', 'archive', 'serve', 'train', 'test', 'vocab', 'doctor')),
        ['train'],
        ['train', 'unet_cloud', '--no-such-option'],
        ['vocab'],
        ['vocab', 'coco_stuff', '--json'],
    ],
    ids=' '.join,
)
def test_help_version_and_vocab_import_no_heavy_module(modules, arguments):
    done, imported = modules(*arguments)
    assert done.returncode == (2 if arguments[-1] in ('train', '--no-such-option') else 0), done.stderr
    assert not imported & set(HEAVY)


def test_predict_imports_what_it_needs_and_prints_json_alone(modules, images, tmp_path):
    """As a shell runs it, with all that libraries print when they are imported."""
    done, imported = modules('predict', images / '0.png', '--out', tmp_path / 'out', '--json')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)['width'] == 80
    unneeded = ('av', 'fastapi', 'uvicorn', 'netCDF4', 'xarray', 'pvlib')
    own = ('app.video', 'app.watching', 'app.web', 'sky.camera.series')
    assert not imported & {*unneeded, *(f'hyperbolic_seg.{name}' for name in own)}
