"""Models in one file, and those that come with the package."""

import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file

from hyperbolic_seg.apis import HyperSegInferencer, released
from hyperbolic_seg.apis.released import RELEASED, Released, config_of, write_release
from hyperbolic_seg.datasets.procedural_sky import render_sky
from hyperbolic_seg.text import Taxonomy
from tests.shrink import shrink


@pytest.fixture(scope='module')
def config(repository, tiny_sky, tmp_path_factory):
    cfg = Config.fromfile(repository / 'configs' / 'hyperclip_unet_cloud.py')
    return shrink(cfg, tiny_sky, tmp_path_factory.mktemp('work'))


@pytest.fixture
def file(config, tmp_path):
    """A small model in one file, and the inferencer that it was made of."""
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match='randomly initialized'):
        inferencer = HyperSegInferencer(config.copy(), device='cpu')
    inferencer.model.init_weights()
    path = tmp_path / 'small.safetensors'
    write_release(config, inferencer.model.state_dict(), path, licence='CC0-1.0')
    return path, inferencer


@pytest.fixture
def no_tower(monkeypatch):
    def missing(*args, **kwargs):
        raise AssertionError('the text tower was asked for')

    monkeypatch.setattr('hyperbolic_seg.text.OpenCLIPTextEncoder.encode_vocabulary', missing)


def test_one_file_is_the_whole_model(file, no_tower):
    path, inferencer = file
    loaded = HyperSegInferencer(path, device='cpu')
    picture = render_sky(0, 64).image
    for prompts in (None, ['clear sky', 'cloud'], ['Cu', 'high cloud', 'sun']):
        one, other = (model(picture, prompts=prompts)['predictions'][0] for model in (inferencer, loaded))
        assert one['classes'] == other['classes']
        np.testing.assert_allclose(one['confidence'], other['confidence'], atol=0.02)
    with pytest.raises(ValueError, match='has its own weights'):
        HyperSegInferencer(path, 'other.pth')


def test_it_is_a_checkpoint_for_mmengine_too(file):
    path, inferencer = file
    checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    assert checkpoint['meta']['licence'] == 'CC0-1.0'
    inferencer.model.load_state_dict(checkpoint['state_dict'])
    assert config_of(path).model.backbone.type == 'TimmUNet'
    (path.parent / 'not.safetensors').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='is not a safetensors file'):
        CheckpointLoader.load_checkpoint(str(path.parent / 'not.safetensors'))
    with pytest.raises(FileNotFoundError, match='does not exist'):
        CheckpointLoader.load_checkpoint(str(path.parent / 'none.safetensors'))
    save_file(dict(a=torch.zeros(1)), path.parent / 'bare.safetensors')
    with pytest.raises(ValueError, match='carries no config'):
        HyperSegInferencer(path.parent / 'bare.safetensors')


def test_what_half_precision_cannot_hold_is_refused(config, tmp_path):
    with pytest.raises(ValueError, match='do not fit into half precision: large'):
        write_release(config, dict(large=torch.tensor([1e6])), tmp_path / 'a.safetensors')


def test_names_are_checked(file, monkeypatch, tmp_path):
    path, _ = file
    monkeypatch.setattr(released, 'WEIGHTS', tmp_path)
    monkeypatch.setitem(RELEASED, 'small', Released(released.sha256_of(path), 'CC0-1.0'))
    monkeypatch.setitem(RELEASED, 'absent', Released('0' * 64, 'CC0-1.0'))
    assert HyperSegInferencer('small', device='cpu').classes == list(Taxonomy.load('sky').leaves.names)
    shutil.copy(path, tmp_path / 'other.safetensors')
    with (tmp_path / 'small.safetensors').open('ab') as stream:
        stream.write(b' ')
    with pytest.raises(RuntimeError, match='is not the released small'):
        HyperSegInferencer('small')
    with pytest.raises(FileNotFoundError, match='install the package again'):
        HyperSegInferencer('absent')
    with pytest.raises(FileNotFoundError, match='neither a file nor a model that comes with the package'):
        HyperSegInferencer('hyperclip-unet-clouds')
    with pytest.raises(ValueError, match="no released model 'nothing'"):
        released.released('nothing')


@pytest.mark.parametrize('name', list(RELEASED))
def test_what_comes_with_the_package(name, no_tower):
    _, path = released.released(name)
    assert path.stat().st_size <= 12e6
    meta = CheckpointLoader.load_checkpoint(str(path))['meta']
    assert meta['licence'] == RELEASED[name].licence
    inferencer = HyperSegInferencer(name, device='cpu')
    kinds = [
        1 if 'cloud' in node.lineage else 0 if node.name == 'clear sky' else 255 for node in Taxonomy.load('sky').nodes
    ]
    kind_of = np.append(kinds, np.full(256 - len(kinds), 255))
    hits = pixels = 0
    for seed in range(8):
        sky = render_sky(9000 + seed, 160)
        truth = kind_of[sky.labels]
        found = inferencer(sky.image, prompts=['clear sky', 'cloud'])['predictions'][0]['labels']
        hits += (found == truth)[truth != 255].sum()
        pixels += (truth != 255).sum()
    assert hits / pixels > 0.8
