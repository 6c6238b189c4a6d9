"""Layers between points of the hyperboloid, against definitions on it in float64."""

import pytest
import torch
from hypothesis import given, settings

from hyperbolic_seg.geometry import hyperboloid_centroid, midpoint, to_hyperboloid
from hyperbolic_seg.layers import HyperbolicConv2d, HyperboloidConv2d, HyperboloidLinear, HyperboloidMLR
from tests.geometry.points import curvatures, few_dims, hyperboloid, near, seeds


def inner(x, y):
    """Return the Lorentzian inner product, the time-like coordinate first."""
    return (x[..., 1:] * y[..., 1:]).sum(-1) - x[..., 0] * y[..., 0]


def normals(layer, offsets, c):
    """Return space-like unit normals of hyperplanes: the rows of a layer, transported along themselves."""
    rows = layer.weight.detach() / layer.weight.detach().norm(dim=1, keepdim=True)
    shift = (2 * c**0.5 * offsets)[:, None]
    return torch.cat([shift.sinh(), shift.cosh() * rows], 1)


def signed_distances(layer, x, offsets, c):
    """Return the signed distances of points (N, D + 1) to the hyperplanes of a layer, (N, K)."""
    return torch.asinh(c**0.5 * inner(x[:, None], normals(layer, offsets, c))) / c**0.5


@given(curvatures, few_dims, seeds)
@settings(max_examples=20, deadline=None)
def test_logits_are_signed_distances_to_hyperplanes(c, dims, seed):
    x = to_hyperboloid(near(seed, 6, dims, c=c), c)
    layer = HyperboloidMLR(dims, 3, c=c).double()
    with torch.no_grad():
        layer.offset.copy_(torch.tensor([0.3, 0.0, -0.2]) / c**0.5)
    expected = layer.weight.norm(dim=1) / 2 * signed_distances(layer, x, layer.offset, c)
    torch.testing.assert_close(layer(x), expected)


@given(curvatures, few_dims, seeds)
@settings(max_examples=20, deadline=None)
def test_coordinates_of_the_linear_layer_are_the_sinh_of_distances(c, dims, seed):
    x = to_hyperboloid(near(seed, 6, dims, c=c, length=0.7), c)
    layer = HyperboloidLinear(dims, 3, c=c).double()
    with torch.no_grad():
        layer.weight.div_(layer.weight.norm(dim=1, keepdim=True))
        layer.bias.copy_(torch.tensor([0.2, 0.0, -0.1]) / c**0.5)
    y = layer(x)
    hyperboloid(c).assert_check_point_on_manifold(y.detach(), atol=1e-6 / c)
    expected = torch.sinh(c**0.5 * signed_distances(layer, x, -layer.bias, c)) / c**0.5
    torch.testing.assert_close(y[:, 1:], expected)


def test_the_convolution_is_that_of_tangent_vectors():
    torch.manual_seed(0)
    v = 0.5 * torch.randn(2, 4, 5, 6, dtype=torch.float64)
    layer = HyperboloidConv2d(4, 3, 3, 2, 1, c=0.7).double()
    reference = HyperbolicConv2d(4, 3, 3, 2, 1, c=0.7).double()
    reference.load_state_dict(layer.state_dict())
    points = layer(to_hyperboloid(v, 0.7, dim=1))
    hyperboloid(0.7).assert_check_point_on_manifold(points.detach().movedim(1, -1))
    torch.testing.assert_close(points, to_hyperboloid(reference(v), 0.7, dim=1))


def test_a_convolution_of_single_pixels_is_the_linear_layer():
    torch.manual_seed(0)
    x = to_hyperboloid(0.5 * torch.randn(2, 4, 1, 1, dtype=torch.float64), 0.7, dim=1)
    conv, linear = HyperboloidConv2d(4, 3, 1, c=0.7).double(), HyperboloidLinear(4, 3, c=0.7).double()
    with torch.no_grad():
        linear.weight.copy_(conv.weight[..., 0, 0])
    torch.testing.assert_close(conv(x).flatten(1), linear(x.flatten(1)))


@given(curvatures, few_dims, seeds)
@settings(max_examples=20, deadline=None)
def test_the_centroid_is_the_sum_of_points_scaled_onto_the_hyperboloid(c, dims, seed):
    x = to_hyperboloid(near(seed, 3, 5, dims, c=c), c)
    weights = torch.rand(3, 5, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.1
    total = (weights * x).sum(1)
    expected = total / (-inner(total, total) * c).sqrt()[:, None]
    torch.testing.assert_close(hyperboloid_centroid(x, weights, c), expected, rtol=1e-6, atol=1e-7 / c**0.5)


def test_the_centroid_over_several_dimensions_of_maps():
    v = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    got = hyperboloid_centroid(to_hyperboloid(v, 0.7, dim=1), None, 0.7, dim=1, over=(2, 3))
    torch.testing.assert_close(got, to_hyperboloid(midpoint(v, None, 0.7, dim=1, over=(2, 3)), 0.7, dim=1))


def test_they_train_and_pass_gradients_to_points():
    torch.manual_seed(0)
    x = to_hyperboloid(0.3 * torch.randn(8, 4), 1.0)
    model = torch.nn.Sequential(HyperboloidLinear(4, 6, learned=False), HyperboloidMLR(6, 2))
    labels, optimizer = torch.arange(8) % 2, torch.optim.Adam(model.parameters(), 0.05)
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    ('points', 'message'),
    [
        (torch.tensor([[1.0, 0.5, 0.0]]), 'lies off the hyperboloid of curvature -c, c = 1'),
        (to_hyperboloid(torch.tensor([[0.5, 0.0]]), 2.0), 'lies off the hyperboloid'),
    ],
)
def test_what_is_no_point_of_the_space_is_refused(points, message):
    for layer in (HyperboloidLinear(2, 3), HyperboloidMLR(2, 3)):
        with pytest.raises(ValueError, match=message):
            layer(points)


def test_groups_are_refused():
    with pytest.raises(ValueError, match='use groups=1'):
        HyperboloidConv2d(4, 4, 3, groups=2)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_gives_points_of_float32(dtype):
    torch.manual_seed(0)
    layer, v = HyperboloidLinear(4, 3), 0.3 * torch.randn(6, 4)
    expected = layer(to_hyperboloid(v))
    got = layer.to(dtype)(to_hyperboloid(v))
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected, rtol=2e-2, atol=2e-2)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(layer.float()(to_hyperboloid(v)), expected, rtol=2e-2, atol=2e-2)
