"""The radius of text embeddings before and after a training: figures, histogram and tool."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from hyperbolic_seg.apis import text_radius
from hyperbolic_seg.visualization.radius_histogram import draw_radius_histogram
from tests.tiny_clip import save_model

WORDS = ['a red barn', 'wet grass', 'two dogs; two hounds']


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp('clip'))


def head(folder, **options):
    encoder = dict(type='OpenCLIPTextEncoder', model=f'local-dir:{folder}', pretrained=None, templates=('{}',))
    settings = dict(type='HyperCLIPHead', in_channels=4, channels=4, num_convs=0, concat_input=False, vocabulary=WORDS)
    torch.manual_seed(0)
    built = MODELS.build(settings | dict(text_dims=32, text_encoder=encoder | options.pop('encoder', {})) | options)
    built.init_weights()
    return built


def test_the_radius_of_a_trained_tower_is_compared_with_the_frozen_one(folder):
    own = head(folder, encoder=dict(adapter=dict(type='RadiusScaling', block_size=16)))
    same = text_radius(own, WORDS)
    torch.testing.assert_close(same['after'], same['before'])
    with torch.no_grad():
        for parameter in own.text.tower.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    found = text_radius(own, WORDS)
    assert found['before'] == same['before'] and found['after'] != same['after']
    raw = 2 * own.text.tower(['a red barn', 'two dogs', 'two hounds'], normalize=False).norm(dim=1)
    assert found['after'][0] == pytest.approx(raw[0].item())
    assert found['after'][2] == pytest.approx(raw[1:].mean().item())


def test_the_radius_of_a_tuner_is_compared_with_the_frozen_one(folder):
    own = head(folder, tuner=dict(block_size=16, shared_scale=True))
    torch.nn.init.constant_(own.tuner.log_scale, -0.5)
    found = text_radius(own, WORDS)
    assert found['before'] == pytest.approx([2.0] * 3) and found['after'] == pytest.approx([2 * 0.60653066] * 3)
    assert text_radius(head(folder), WORDS)['after'] == pytest.approx([2.0] * 3)


def test_the_histogram_is_drawn_from_finite_radii(tmp_path):
    draw_radius_histogram(dict(before=[7.0, 7.2, 7.3], after=[5.8, 5.9, 5.85]), tmp_path / 'radius.png', title='words')
    assert cv2.imread(str(tmp_path / 'radius.png')).std() > 0
    draw_radius_histogram(dict(before=[2.0, 2.0]), tmp_path / 'same.svg')
    assert '<svg' in (tmp_path / 'same.svg').read_text()
    for wrong in ({}, dict(before=[float('nan')])):
        with pytest.raises(ValueError, match='expected finite radii of at least one word'):
            draw_radius_histogram(wrong, tmp_path / 'none.png')


def test_the_tool_prints_radii_and_draws_the_histogram(repository, tool, folder, tmp_path):
    cfg = Config.fromfile(repository / 'configs' / 'zero_shot' / 'maskclip_vitb16_sky.py')
    for part in (cfg.model.backbone, cfg.model.decode_head.text_encoder):
        part.update(model=f'local-dir:{folder}', pretrained=None)
    cfg.model.decode_head.update(text_dims=32, in_channels=32, channels=32, taxonomy=None, vocabulary=WORDS)
    cfg.model.decode_head.tuner = dict(block_size=16)
    cfg.dump(tmp_path / 'config.py')
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.nn.init.normal_(model.decode_head.tuner.delta, std=0.2)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'weights.pth')
    command = ['text_radius', tmp_path / 'config.py', tmp_path / 'weights.pth', '--out']
    done = tool(*command, tmp_path / 'r.png')
    assert done.returncode == 0, done.stderr[-2000:]
    after = np.mean(text_radius(model.decode_head, WORDS)['after'])
    assert 'before: mean 2.000' in done.stdout and f'after: mean {after:.3f}' in done.stdout
    assert (tmp_path / 'r.png').stat().st_size > 0
    done = tool(*command, tmp_path / 'r.nothing')
    assert done.returncode == 2 and 'error: ' in done.stderr
