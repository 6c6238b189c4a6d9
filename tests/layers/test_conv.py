import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hyperbolic_seg.geometry import from_ball, to_ball
from hyperbolic_seg.layers import HyperbolicConv2d
from tests.geometry.points import vectors
from tests.layers.test_linear import shimizu

close = torch.testing.assert_close
GEOMETRIES = {
    'plain': dict(kernel_size=3),
    'padding': dict(kernel_size=3, padding=1),
    'same': dict(kernel_size=3, padding='same'),
    'stride': dict(kernel_size=3, stride=2, padding=1),
    'dilation': dict(kernel_size=3, dilation=2, padding=2),
    'oblong': dict(kernel_size=(1, 3), stride=(2, 1), padding=(0, 1)),
    'groups': dict(kernel_size=3, padding=1, groups=2),
    'depthwise': dict(kernel_size=3, padding=1, groups=6),
    'reflect': dict(kernel_size=3, padding=1, padding_mode='reflect'),
    'pointwise': dict(kernel_size=1),
    'without bias': dict(kernel_size=3, padding=1, bias=False),
}


def patches(v, layer):
    """What lies under the kernel: (N, groups, channels of a group, kernel size, positions)."""
    if layer.padding_mode != 'zeros':
        v, padding = F.pad(v, layer._reversed_padding_repeated_twice, mode=layer.padding_mode), 0
    else:
        padding = (1, 1) if layer.padding == 'same' else layer.padding
    columns = F.unfold(v, layer.kernel_size, layer.dilation, padding, layer.stride)
    size = math.prod(layer.kernel_size)
    return columns.view(len(v), layer.groups, layer.in_channels // layer.groups, size, -1)


def beta(n):
    return math.gamma(n / 2) * math.gamma(0.5) / math.gamma((n + 1) / 2)


@pytest.mark.parametrize('c', [0.03, 0.7, 2.3])
@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_it_is_the_beta_concatenation_and_the_layer_of_shimizu(geometry, c):
    torch.manual_seed(0)
    layer = HyperbolicConv2d(6, 12, **GEOMETRIES[geometry], c=c).double()
    layer.curvature.value = torch.tensor(c, dtype=torch.float64)
    if layer.bias is not None:
        nn.init.normal_(layer.bias, std=0.2 / c**0.5)
    v = vectors(1, 2, 7, 6, 6, length=0.5 / c**0.5).movedim(-1, 1).contiguous()
    under = patches(v, layer)
    depth, size = under.shape[2], under.shape[3]
    ratio = beta(depth * size) / beta(depth)
    expected = []
    for group in range(layer.groups):
        # In tangent coordinates: exp0, log0, scaling and joining, as published.
        joined = (under[:, group] * ratio).flatten(1, 2).movedim(1, -1).reshape(-1, depth * size)
        rows = slice(group * 12 // layer.groups, (group + 1) * 12 // layer.groups)
        # The layer divides its weights by the ratio, lest they act more weakly on more vectors.
        weight = layer.weight[rows].flatten(1) / ratio
        bias = torch.zeros(len(weight)).double() if layer.bias is None else layer.bias[rows] * ratio
        out = from_ball(shimizu(to_ball(joined, c), weight, bias, c), c)
        expected.append(out.view(2, -1, len(weight)).movedim(-1, 1))
    got = layer(v)
    close(got.flatten(2), torch.cat(expected, 1), rtol=1e-6, atol=1e-7 / c**0.5)
    twin = nn.Conv2d(6, 12, **GEOMETRIES[geometry])
    assert got.shape == twin(v.float()).shape


@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_flat_limit_is_the_twin(geometry):
    torch.manual_seed(0)
    layer, twin = HyperbolicConv2d(6, 12, **GEOMETRIES[geometry], c=1e-9), nn.Conv2d(6, 12, **GEOMETRIES[geometry])
    layer.load_state_dict(twin.state_dict(), strict=False)
    v = torch.randn(2, 6, 8, 9)
    if twin.bias is not None:
        with torch.no_grad():
            twin.bias.mul_(twin.weight.flatten(1).norm(dim=1))
    close(layer(v), twin(v), rtol=1e-4, atol=1e-5)


def test_joining_keeps_the_size_of_features():
    """The beta-concatenation is there for it: the expected length does not grow with the number of vectors."""
    torch.manual_seed(0)
    v = torch.randn(4, 32, 16, 16) * 0.1
    layer = HyperbolicConv2d(32, 8, 3)
    joined = layer.beta * patches(v, layer).flatten(1, 3).norm(dim=1)
    assert 0.8 < joined.mean() / v.norm(dim=1).mean() < 1.25


def test_memory_format_and_autocast_do_not_change_the_output():
    torch.manual_seed(0)
    layer, v = HyperbolicConv2d(6, 8, 3, padding=1, c=0.7), torch.randn(2, 6, 9, 7)
    expected = layer(v)
    close(layer(v.contiguous(memory_format=torch.channels_last)), expected)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        close(layer(v), expected)
    for scale in (0.0, 1e-30, 1e4):
        x = (v * scale).requires_grad_()
        out = layer(x)
        assert out.isfinite().all()
        assert torch.autograd.grad(out.sum(), x)[0].isfinite().all()
