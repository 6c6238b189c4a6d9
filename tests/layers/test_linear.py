import pytest
import torch
from hypothesis import given, settings
from torch import nn

from hyperbolic_seg.geometry import from_ball, to_ball
from hyperbolic_seg.layers import HyperbolicLinear
from tests.geometry.points import ball, curvatures, near, seeds, vectors

close = torch.testing.assert_close


def shimizu(x, weight, bias, c):
    """The fully connected layer of HNN++ on the ball, as published (eq. 6 and 7), with our names for its parameters."""
    root_c, z, r = c**0.5, weight / 2, -bias
    norm = z.norm(dim=-1)
    conformal = ball(c).lambda_x(x)[:, None]
    inner = root_c * x @ (z / norm[:, None]).t()
    argument = conformal * inner * torch.cosh(2 * root_c * r) - (conformal - 1) * torch.sinh(2 * root_c * r)
    w = torch.sinh(2 * norm * torch.asinh(argument)) / root_c
    return w / (1 + (1 + c * w.square().sum(-1, keepdim=True)).sqrt())


@given(curvatures, seeds)
@settings(max_examples=40)
def test_it_is_the_layer_of_shimizu(c, seed):
    layer = HyperbolicLinear(6, 4, c=c).double()
    layer.curvature.value = torch.tensor(c, dtype=torch.float64)
    with torch.no_grad():
        layer.bias.copy_(vectors(seed + 1, 4, 1)[:, 0] * 0.3 / c**0.5)
    v = near(seed, 10, 6, c=c)
    expected = from_ball(shimizu(to_ball(v, c), layer.weight, layer.bias, c), c)
    close(layer(v), expected, rtol=1e-6, atol=1e-7 / c**0.5)


@pytest.mark.parametrize('bias', [True, False])
def test_flat_limit_is_the_twin(bias):
    torch.manual_seed(0)
    layer, twin = HyperbolicLinear(6, 4, bias, c=1e-9), nn.Linear(6, 4, bias)
    layer.load_state_dict(twin.state_dict(), strict=False)
    v = torch.randn(2, 3, 6)
    if bias:
        with torch.no_grad():
            twin.bias.mul_(twin.weight.norm(dim=1))
    close(layer(v), twin(v), rtol=1e-4, atol=1e-5)


def test_it_starts_at_the_origin_and_learns_its_curvature():
    layer = HyperbolicLinear(6, 4, c=0.5, learned=True)
    assert layer(torch.zeros(1, 6)).abs().max() == 0
    layer(torch.randn(3, 6)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())
    assert layer.curvature.position.grad != 0
    assert HyperbolicLinear(3, 2, False, dtype=torch.float64).weight.dtype == torch.float64
