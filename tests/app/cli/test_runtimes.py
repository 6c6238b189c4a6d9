"""The command without PyTorch and MMSegmentation."""

import pytest

from hyperbolic_seg.apis import RELEASES
from hyperbolic_seg.app.cli import runtimes
from hyperbolic_seg.app.cli.runtimes import Runtime, exported_file, load_onnx, runtime_of


def test_all_that_predicts_is_imported_without_torch(without_torch):
    names = (
        'apis.onnx_inferencer',
        'app.batch',
        'app.selection',
        'app.watching',
        'sky.camera.sky_camera',
        'app.cli.watch',
    )
    imports = '; '.join(f'import hyperbolic_seg.{name}' for name in names)
    done = without_torch(code=imports)
    assert done.returncode == 0, done.stderr


def test_the_command_says_how_to_get_a_file(without_torch, images, tmp_path):
    done = without_torch('predict', images, '--model', 'sky.onnx', '--out', tmp_path / 'out')
    assert done.returncode == 2
    assert 'hyperbolic-seg export MODEL --out sky.onnx' in ' '.join(done.stderr.split())


def test_pytorch_is_named_where_it_is_missing(without_torch, images, tmp_path):
    for command in (['predict', images, '--out', tmp_path / 'out'], ['export', '--out', tmp_path / 'sky.onnx']):
        done = without_torch(*command)
        assert done.returncode == 2
        words = ' '.join(done.stderr.split())
        assert "pip install 'hyperbolic-seg[mmseg,offline,imagenet,app]'" in words
        assert '--runtime onnx' in words


def test_layers_name_their_extra(without_torch):
    done = without_torch(code='import hyperbolic_seg.layers')
    assert "pip install 'hyperbolic-seg[torch]'" in done.stderr


def test_an_onnx_file_names_its_runtime():
    assert runtime_of('sky.onnx', None) is Runtime.ONNX
    assert runtime_of('hyperclip-unet-cloud', None) is Runtime.TORCH
    assert runtime_of('hyperclip-unet-cloud', Runtime.ONNX) is Runtime.ONNX
    with pytest.raises(ValueError, match=r'sky\.onnx is an ONNX file'):
        runtime_of('sky.onnx', Runtime.TORCH)


def test_a_released_model_is_found_beside_its_weights_or_among_the_exported_ones(monkeypatch, tmp_path):
    name = next(iter(RELEASES))
    monkeypatch.setenv('HYPERBOLIC_SEG_CACHE', str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f'{name} is not exported here: hyperbolic-seg export {name}'):
        exported_file(name)
    file = runtimes.own_file(name)
    file.parent.mkdir()
    file.touch()
    assert exported_file(name) == file
    assert file.is_relative_to(tmp_path)


def test_options_of_pytorch_are_refused():
    with pytest.raises(ValueError, match='--device cannot be given with --runtime onnx'):
        load_onnx('sky.onnx', None, unfit=['--device'])
    with pytest.raises(ValueError, match=r'takes a released model or an \.onnx file, got unet_cloud\.py'):
        load_onnx('unet_cloud.py', None)
