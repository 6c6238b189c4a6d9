import pytest
import torch
from torch import nn

from hyperbolic_seg.geometry import geodesic, midpoint, mobius_add
from hyperbolic_seg.layers import HyperbolicBatchNorm2d

close = torch.testing.assert_close


def features(seed=0, shape=(4, 6, 5, 3)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator) * torch.linspace(0.3, 2, shape[1]).view(-1, 1, 1) + 0.7


@pytest.mark.parametrize('c', [0.01, 0.7, 2.3])
def test_a_batch_is_centered_and_scaled(c):
    layer = HyperbolicBatchNorm2d(6, eps=0, momentum=1.0, c=c)
    out = layer(features() / c**0.5)
    biased = layer.running_var * (59 / 60)
    centered = out.detach() * biased.sqrt().view(1, -1, 1, 1)
    close(midpoint(centered, None, c, dim=1, over=(0, 2, 3)), torch.zeros(6), rtol=0, atol=1e-4 / c**0.5)
    close(
        mobius_add(layer.running_mean.view(1, -1, 1, 1), centered, c, dim=1), features() / c**0.5, rtol=1e-3, atol=1e-3
    )
    close(out.square().mean((0, 2, 3)), torch.ones(6), rtol=1e-4, atol=0)
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(0.5, 2, 6))
        layer.bias.copy_(torch.linspace(-0.3, 0.3, 6))
    moved = layer(features() / c**0.5)
    back = mobius_add(-layer.bias.view(1, -1, 1, 1), moved, c, dim=1)
    close(back, out * layer.weight.view(1, -1, 1, 1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('momentum', [0.1, None])
@pytest.mark.parametrize('affine', [True, False])
def test_flat_limit_is_the_twin(momentum, affine):
    layer = HyperbolicBatchNorm2d(6, momentum=momentum, affine=affine, c=1e-9)
    twin = nn.BatchNorm2d(6, momentum=momentum, affine=affine)
    assert {k: v.shape for k, v in twin.state_dict().items()} == {
        k: v.shape for k, v in layer.state_dict().items() if not k.startswith('curvature')
    }
    if affine:
        for one in (layer, twin):
            nn.init.constant_(one.weight, 1.7)
            nn.init.constant_(one.bias, -0.4)
    for seed in range(3):
        close(layer(features(seed)), twin(features(seed)), rtol=1e-4, atol=1e-4)
    close(layer.running_mean, twin.running_mean, rtol=1e-4, atol=1e-5)
    close(layer.running_var, twin.running_var, rtol=1e-4, atol=1e-5)
    layer.eval(), twin.eval()
    close(layer(features(9)), twin(features(9)), rtol=1e-4, atol=1e-4)
    assert layer.num_batches_tracked == twin.num_batches_tracked


def test_running_statistics_move_along_geodesics():
    c = 0.7
    layer = HyperbolicBatchNorm2d(6, c=c, momentum=0.3)
    expected = torch.zeros(6)
    for seed in range(3):
        layer(features(seed))
        expected = geodesic(expected, midpoint(features(seed), None, c, dim=1, over=(0, 2, 3)), 0.3, c)
    close(layer.running_mean, expected)
    layer.eval()
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    first = layer(features(5))
    close(layer(features(5)[:1]), first[:1])  # evaluation does not depend on the batch
    for key, value in layer.state_dict().items():
        assert torch.equal(value, before[key])
    # A batch that is like all others is normalized alike.
    steady = HyperbolicBatchNorm2d(6, c=c)
    for _ in range(100):
        trained = steady(features(0))
    steady.eval()
    close(steady(features(0)), trained, rtol=2e-2, atol=2e-2)
    untracked = HyperbolicBatchNorm2d(6, c=c, track_running_stats=False).eval()
    close(untracked(features(0)), HyperbolicBatchNorm2d(6, c=c)(features(0)))


def test_gradients_are_exact_and_finite_far_out():
    layer = HyperbolicBatchNorm2d(3, c=0.7).double()
    v = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(layer, (v,), atol=1e-4)
    for scale in (0.0, 1e-20, 60.0, 1e4):
        single = HyperbolicBatchNorm2d(3, c=0.7)
        x = (v.detach().float() * scale).requires_grad_()
        out = single(x)
        assert out.isfinite().all()
        out.square().sum().backward()
        assert x.grad.isfinite().all() and single.weight.grad.isfinite().all()


def test_a_wrong_number_of_channels_is_named():
    with pytest.raises(ValueError, match=r'expected 4 channels in dimension 1.*got \(2, 3, 5, 5\)'):
        HyperbolicBatchNorm2d(4)(torch.zeros(2, 3, 5, 5))
    assert HyperbolicBatchNorm2d(4)(torch.randn(3, 4).half()).dtype == torch.float32
