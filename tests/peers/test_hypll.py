"""Layers beside those of HypLL with the same weights.

Theirs take and return points of the ball, ours the tangent coordinates of these points. Where a layer differs on
purpose, its test has the exact relation between the two.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hyperbolic_seg import layers
from hyperbolic_seg.geometry import from_ball, midpoint, mobius_add, radius, safe_norm, to_ball, unit
from tests.geometry.points import curvatures, near, seeds, vectors
from tests.peers.examples import SOME

pytest.importorskip('hypll', reason="HypLL is not installed: pip install 'hyperbolic-seg[peers]'")

from hypll import nn as theirs
from hypll.manifolds.euclidean import Euclidean
from hypll.manifolds.poincare_ball import Curvature, PoincareBall
from hypll.tensors import ManifoldParameter, ManifoldTensor

close = torch.testing.assert_close
sizes = st.integers(1, 7)


def tolerance(c):
    return dict(rtol=1e-6, atol=1e-7 / c**0.5)


def space(c):
    """Their ball in float64, with our curvature itself, where they would take its softplus."""
    found = PoincareBall(Curvature(c, constraining_strategy=torch.abs))
    found.c.value.data = torch.tensor(c, dtype=torch.float64)
    return found


def points(v, manifold, dim=1):
    return ManifoldTensor(to_ball(v, manifold.c(), dim), manifold=manifold, man_dim=dim)


def coordinates(x, manifold):
    return from_ball(x.tensor, manifold.c(), x.man_dim)


def normals(columns):
    return ManifoldParameter(columns, manifold=Euclidean(), man_dim=0)


def ours(layer, c):
    """Our layer in float64; its curvature was rounded to float32."""
    layer = layer.double()
    layer.curvature.value = torch.tensor(c, dtype=torch.float64)
    return layer


def maps(seed, channels, c, height=6, width=5, length=1.0):
    return near(seed, 2, height, width, channels, c=c, length=length).movedim(-1, 1).contiguous()


def draw(parameter, seed, length):
    parameter.data = length * vectors(seed, *parameter.shape, 1)[..., 0]


@SOME
@given(curvatures, sizes, sizes, seeds)
def test_linear(c, inputs, outputs, seed):
    manifold = space(c)
    layer, twin = ours(layers.HyperbolicLinear(inputs, outputs), c), theirs.HLinear(inputs, outputs, manifold)
    draw(layer.bias, seed, 0.3 / c**0.5)
    twin.z, twin.bias = normals(layer.weight.data.t() / 2), nn.Parameter(-layer.bias.data)
    v = near(seed + 1, 9, inputs, c=c, length=1)
    close(layer(v), coordinates(twin(points(v, manifold)), manifold), **tolerance(c))


def beta_ratio(channels, window):
    """What joining the vectors of a window multiplies their coordinates by."""

    def beta(n):
        return math.exp(math.lgamma(n / 2) + math.lgamma(0.5) - math.lgamma((n + 1) / 2))

    return beta(channels * window) / beta(channels)


@SOME
@given(curvatures, sizes, sizes, st.sampled_from([1, 2, 3, (1, 3)]), st.integers(1, 2), st.integers(0, 1), seeds)
def test_convolution(c, inputs, outputs, kernel, stride, padding, seed):
    manifold = space(c)
    layer = ours(layers.HyperbolicConv2d(inputs, outputs, kernel, stride, padding), c)
    twin = theirs.HConvolution2d(inputs, outputs, kernel, manifold, stride=stride, padding=padding)
    draw(layer.bias, seed, 0.2 / c**0.5)
    # Ours divides its weights by the ratio, so that as c approaches 0 they are those of nn.Conv2d.
    ratio = beta_ratio(inputs, math.prod(layer.kernel_size))
    twin.weights = normals(layer.weight.data.flatten(1).t() / (2 * ratio))
    twin.bias = nn.Parameter(-ratio * layer.bias.data)
    v = maps(seed + 1, inputs, c, length=0.5)
    close(layer(v), coordinates(twin(points(v, manifold)), manifold), **tolerance(c))


@SOME
@given(curvatures, sizes, sizes, seeds)
def test_classification_by_hyperplanes(c, channels, classes, seed):
    manifold, layer = space(c), ours(layers.HyperbolicMLR(channels, classes, c=1.0), c)
    draw(layer.offset, seed, 0.3 / c**0.5)
    v = near(seed + 1, 9, channels, c=c, length=1)
    logits = manifold.hyperplane_dists(points(v, manifold), normals(layer.weight.data.t() / 4), layer.offset)
    close(layer(v), logits, rtol=1e-6, atol=1e-7)


@SOME
@given(curvatures, sizes, sizes, seeds)
def test_classification_by_distances(c, channels, classes, seed):
    manifold, layer = space(c), ours(layers.HyperbolicPrototypes(channels, classes, c=1.0, scale=2.0), c)
    draw(layer.bias, seed, 1)
    layer.weight.data = near(seed + 1, classes, channels, c=c, length=1)
    v = near(seed + 2, 9, channels, c=c, length=1)
    x, prototypes = (to_ball(one, c)[None] for one in (v, layer.weight.data))
    apart = manifold.cdist(*(ManifoldTensor(one, manifold=manifold, man_dim=-1) for one in (x, prototypes)))[0]
    close(layer(v), 2 * (radius(v)[:, None] - apart) + layer.bias, rtol=1e-5, atol=1e-5 / c**0.5)


@SOME
@given(curvatures, sizes, seeds)
def test_activation(c, channels, seed):
    manifold, v = space(c), maps(seed, channels, c)
    rectified = coordinates(theirs.HReLU(manifold)(points(v, manifold)), manifold)
    close(rectified, torch.relu(v), **tolerance(c))
    # Theirs rectifies tangent coordinates, ours those on the hyperboloid: the same direction, at a length whose
    # hyperbolic sine, not itself, shrinks in proportion.
    ours_ = ours(layers.HyperbolicReLU(), c)(v)
    close(unit(ours_, 1), unit(rectified, 1), rtol=1e-6, atol=1e-7)
    share = safe_norm(rectified, 1) / safe_norm(v, 1)
    sines = (torch.sinh(c**0.5 * radius(x, 1)) for x in (ours_, v))
    close(next(sines), share * next(sines), rtol=1e-6, atol=1e-7)


@SOME
@given(curvatures, sizes, st.sampled_from([2, 3, (1, 2)]), st.integers(1, 2), seeds)
def test_pooling(c, channels, kernel, stride, seed):
    manifold, v = space(c), maps(seed, channels, c)
    pool = ours(layers.HyperbolicAvgPool2d(kernel, stride), c)
    windows = F.unfold(to_ball(v, c, 1), pool.kernel_size, stride=stride).unflatten(1, (channels, -1))
    found = manifold.midpoint(ManifoldTensor(windows, manifold=manifold, man_dim=1), batch_dim=2)
    close(pool(v).flatten(2), coordinates(found, manifold), **tolerance(c))
    # Their layer joins a window to one vector, as for a convolution, maps it to the ball, and averages its pieces.
    joined = beta_ratio(channels, windows.shape[2]) * F.unfold(v, pool.kernel_size, stride=stride)
    pieces = from_ball(to_ball(joined, c, 1).unflatten(1, (channels, -1)), c, 1)
    twin = theirs.HAvgPool2d(kernel, manifold, (stride, stride), use_midpoint=True)
    found = coordinates(twin(points(v, manifold)), manifold)
    close(found.flatten(2), midpoint(pieces, None, c, dim=1, over=2), **tolerance(c))
    # Their largest coordinates are those of Euclidean pooling.
    largest = theirs.HMaxPool2d(kernel, manifold, stride)(points(v, manifold))
    close(nn.MaxPool2d(kernel, stride)(v), coordinates(largest, manifold), **tolerance(c))


@SOME
@given(curvatures, st.integers(2, 7), seeds)
def test_normalization(c, channels, seed):
    manifold, v = space(c), maps(seed, channels, c) + 0.1 / c**0.5
    layer = ours(layers.HyperbolicBatchNorm2d(channels, eps=0), c)
    twin = theirs.HBatchNorm2d(channels, manifold, use_midpoint=True).double()
    draw(layer.bias, seed + 1, 0.2 / c**0.5)
    twin.norm.bias.data = layer.bias.data
    layer.weight.data.fill_(0.3 / c**0.5)
    twin.norm.weight.data.fill_(0.1 / c)  # of a squared distance
    bias, mean = layer.bias.view(1, -1, 1, 1), midpoint(v, None, c, dim=1, over=(0, 2, 3)).view(1, -1, 1, 1)
    out = mobius_add(-bias, coordinates(twin(points(v, manifold)), manifold), c, dim=1)
    # Theirs moves from the mean to the bias directly, ours by the origin, which differs by a rotation ...
    centered = mobius_add(-mobius_add(-mean, bias, c, 1), mobius_add(-mean, mobius_add(bias, out, c, 1), c, 1), c, 1)
    # ... and scales vectors by one number, ours every channel by its own.
    expected = layer.weight.view(1, -1, 1, 1) * centered / centered.square().mean((0, 2, 3), keepdim=True).sqrt()
    close(mobius_add(-bias, layer(v), c, dim=1), expected, rtol=1e-5, atol=1e-6 / c**0.5)


@SOME
@given(curvatures, sizes, seeds)
def test_midpoints(c, channels, seed):
    manifold, v = space(c), near(seed, 2, 9, channels, c=c)
    pair = ManifoldTensor(to_ball(v, c), manifold=manifold, man_dim=-1)
    found = manifold.midpoint(pair, batch_dim=1)
    close(midpoint(v, None, c, over=1), coordinates(found, manifold), **tolerance(c))
    # Of two points the midpoint is also the Frechet mean, which theirs finds by iteration.
    found = manifold.frechet_mean(pair, batch_dim=0)
    close(midpoint(v, None, c, over=0), coordinates(found, manifold), rtol=1e-4, atol=1e-5 / c**0.5)
