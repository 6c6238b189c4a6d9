"""The file of an adaptation, and the model that it changes."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hyperbolic_seg.apis import RELEASES, Adaptation, load_model, mix_statistics
from hyperbolic_seg.models.refinement import OddsChange
from hyperbolic_seg.sky.renderer import render_sky

SKY = RELEASES['hyperclip-unet-sky'].sha256
ODDS = OddsChange(('clear sky', 'cloud'), 1.25, (0.5, -0.25, 0.0, 1.0), 30.0)


def test_norms_get_the_statistics_of_a_batch_in_their_order():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)).eval()
    batch = 4 * torch.rand(6, 3, 16, 16) + 2
    assert mix_statistics(layers, lambda: layers(batch), 1.0) == 2
    found = layers(batch)
    torch.testing.assert_close(found.mean((0, 2, 3)), torch.zeros(5), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.var((0, 2, 3)), torch.ones(5), atol=1e-2, rtol=0)
    half = nn.Sequential(nn.BatchNorm2d(3)).eval()
    mix_statistics(half, lambda: half(batch), 0.5)
    torch.testing.assert_close(half[0].running_mean, batch.mean((0, 2, 3)) / 2)
    with pytest.raises(ValueError, match='expected 0 to 1'):
        mix_statistics(half, lambda: half(batch), 2.0)


def test_a_file_changes_its_own_model_alone(tmp_path):
    model, file = load_model('hyperclip-unet-sky', device='cpu'), tmp_path / 'camera.safetensors'
    name = 'backbone.encoder.bn1.running_mean'
    mean = model.model.state_dict()[name] + 1
    Adaptation(SKY, {name: mean}, ODDS, dict(pictures=3)).save(file)
    kept = Adaptation.load(file)
    assert (kept.model, kept.odds, kept.about) == (SKY, ODDS, dict(pictures=3))
    assert torch.equal(kept.statistics[name], mean) and file.stat().st_size < 2**12
    before = model.identity
    model.adapt(file)
    assert torch.equal(model.model.state_dict()[name], mean)
    assert before == dict(name='hyperclip-unet-sky', sha256=SKY) and model.identity.keys() - before == {'adaptation'}
    model.set_prompts(['clear sky', 'cloud'])
    assert model.predict_one(render_sky(3, 64).image)['labels'].all()  # odds of e to the 30 for cloud
    with pytest.raises(ValueError, match='adapted already'):
        model.adapt(file)
    with pytest.raises(ValueError, match=f'made with weights of the SHA-256 {SKY}, and the model has no file'):
        kept.check_model(None)
    for strange in ({'backbone.no': mean}, {name: mean[:3]}, {name: mean * torch.nan}):
        with pytest.raises(ValueError, match='does not fit the model'):
            Adaptation(SKY, strange).change(model.model)
    with pytest.raises(ValueError, match='got a Linear'):
        Adaptation(SKY).change(nn.Linear(2, 2))


def test_files_that_are_no_adaptation_are_refused(tmp_path):
    file = tmp_path / 'a.safetensors'
    for content, why in (
        (None, 'is no adaptation'),
        (dict(format='2'), "of format '2'"),
        (dict(format='1', odds=None), 'damaged'),
        (dict(format='1', odds=dict(nodes=['cloud'], scale=1, colors=[0] * 4, offset=0)), 'damaged'),
        (dict(format='1', odds=dict(nodes=['a', 'b'], scale=1, colors=[0], offset=0)), 'damaged'),
    ):
        save_file({}, file, metadata=None if content is None else dict(adaptation=json.dumps(content)))
        with pytest.raises(ValueError, match=why):
            Adaptation.load(file)
    file.write_bytes(b'none')
    with pytest.raises(ValueError, match='not a safetensors file'):
        Adaptation.load(file)
    file.write_bytes(bytes(2**20 + 1))
    with pytest.raises(ValueError, match='an adaptation has at most'):
        Adaptation.load(file)
