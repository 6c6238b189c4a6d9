"""Midpoints against the centroid on the hyperboloid, what they minimise, and far points."""

import pytest
import torch
from hypothesis import given, settings
from torch.autograd import gradcheck, gradgradcheck

from hyperbolic_seg.geometry import (
    distance,
    from_ball,
    geodesic,
    midpoint,
    mixed_midpoints,
    mobius_add,
    to_ball,
    to_hyperboloid,
)
from tests.geometry.points import ball, curvatures, dims, far, few_dims, near, seeds, vectors

close = torch.testing.assert_close


def weights_of(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 1e-3


@given(curvatures, dims, seeds)
@settings(max_examples=40)
def test_midpoint_is_that_of_the_ball(c, dim, seed):
    v, weights = near(seed, 12, dim, c=c), weights_of(seed, 12)
    tolerance = dict(rtol=1e-6, atol=1e-7 / c**0.5)
    close(midpoint(v, None, c), from_ball(ball(c).weighted_midpoint(to_ball(v, c), reducedim=[0]), c), **tolerance)
    expected = from_ball(ball(c).weighted_midpoint(to_ball(v, c), weights, reducedim=[0]), c)
    close(midpoint(v, weights[:, None], c), expected, **tolerance)


@given(curvatures, few_dims, seeds)
@settings(max_examples=40)
def test_midpoint_is_the_centroid_on_the_hyperboloid(c, dim, seed):
    v, weights = near(seed, 12, dim, c=c), weights_of(seed, 12)
    mean = (weights[:, None] * to_hyperboloid(v, c)).sum(0)
    centroid = mean / (c * (mean[0].square() - mean[1:].square().sum())).sqrt()
    close(to_hyperboloid(midpoint(v, weights[:, None], c), c), centroid, rtol=1e-8, atol=1e-8 / c**0.5)


@given(curvatures, few_dims, seeds)
@settings(max_examples=20)
def test_midpoint_minimises_and_moves_with_the_points(c, dim, seed):
    v, weights = near(seed, 8, dim, c=c), weights_of(seed, 8, 1)
    middle = midpoint(v, weights, c).requires_grad_()
    spread = (weights[:, 0] * (torch.cosh(c**0.5 * distance(middle[None], v, c)) - 1)).sum()
    assert torch.autograd.grad(spread, middle)[0].abs().max() < 1e-6 * (1 + spread) * c**0.5
    a = near(seed + 1, 1, dim, c=c)
    moved = midpoint(mobius_add(a, v, c), weights, c)
    close(moved, mobius_add(a[0], middle.detach(), c), rtol=1e-6, atol=1e-7 / c**0.5)


def test_midpoints_over_several_dimensions_do_not_depend_on_the_layout():
    v, weights = vectors(0, 2, 3, 5, 4, length=2), weights_of(1, 2, 3, 5, 1)
    flat = midpoint(v.reshape(-1, 4), weights.reshape(-1, 1), 0.7)
    close(midpoint(v, weights, 0.7, over=(0, 1, 2)), flat)
    close(midpoint(v.movedim(-1, 1), weights.movedim(-1, 1), 0.7, dim=1, over=(0, 2, 3)), flat)
    close(midpoint(v.movedim(-1, 0), weights.movedim(-1, 0), 0.7, dim=0, over=(-1, 1, 2)), flat)
    kept = midpoint(v, weights, 0.7, over=(0, 2), keepdim=True)
    assert kept.shape == (1, 3, 1, 4)
    close(kept[0, 1, 0], midpoint(v[:, 1].reshape(-1, 4), weights[:, 1].reshape(-1, 1), 0.7))
    with pytest.raises(ValueError, match='names the dimension of the vectors themselves'):
        midpoint(v, over=3)


@pytest.mark.parametrize('rho', [1e-6, 1e-3, 1.0, 10.0, 30.0, 60.0, 200.0])
@pytest.mark.parametrize('c', [0.03, 2.3])
def test_float32_is_accurate_for_every_radius(rho, c):
    v = far(0, 9, 200, 8, rho=rho, c=c).float()
    v[1] *= 0.7
    weights = weights_of(3, 9, 200, 1).float()
    for points, chosen in [(v, None), (v, weights), (v[:1].expand(3, -1, -1), None)]:
        exact = midpoint(points.double(), chosen if chosen is None else chosen.double(), c, over=0)
        error = (midpoint(points, chosen, c, over=0) - exact).norm(dim=-1)
        assert error.max() <= 1e-5 * rho / (2 * c**0.5)
    pair = midpoint(v[:2].double(), None, c, over=0)
    if rho <= 30:
        close(pair, geodesic(v[0].double(), v[1].double(), 0.5, c), rtol=1e-5, atol=1e-7 * rho)


def test_points_of_weight_zero_are_ignored():
    v = vectors(0, 6, 4, length=3).float()
    weights = torch.tensor([0.0, 1.0, 0.0, 0.0, 2.0, 0.0])[:, None]
    close(midpoint(v, weights, 0.7), midpoint(v[[1, 4]], weights[[1, 4]], 0.7))


@given(curvatures, few_dims, seeds)
@settings(max_examples=20)
def test_mixed_midpoints_are_midpoints(c, dim, seed):
    v = near(seed, 2, 7, dim, c=c)
    mixture = torch.softmax(3 * vectors(seed, 2, 5, 7), -1)
    expected = torch.stack([midpoint(v, mixture[:, i, :, None], c) for i in range(5)], 1)
    close(mixed_midpoints(v, mixture, c), expected, rtol=1e-6, atol=1e-7 / c**0.5)


def test_mixed_midpoints_are_accurate_far_out():
    mixture = torch.tensor([[0.5, 0.5]])
    for rho in (1.0, 5.0, 60.0, 500.0):
        v = torch.eye(2) * rho / 2
        torch.testing.assert_close(mixed_midpoints(v, mixture, 1.0)[0], midpoint(v, None, 1.0), rtol=1e-4, atol=1e-6)
        alone = mixed_midpoints(v, torch.tensor([[1.0, 0.0]]), 1.0)[0]
        assert alone[0] <= min(rho, 20.2) / 2 * 1.001 and (rho > 5 or alone[0] == pytest.approx(rho / 2, rel=1e-2))


def test_gradients_of_midpoints_match_finite_differences():
    v, weights = vectors(0, 4, 3, length=1.5).requires_grad_(), weights_of(1, 4, 1).requires_grad_()
    c = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    assert gradcheck(midpoint, (v, weights, c))
    assert gradgradcheck(midpoint, (v, weights, c))
    mixture = torch.softmax(vectors(2, 2, 4), -1).requires_grad_()
    assert gradcheck(mixed_midpoints, (v, mixture, c))
    outer = far(3, 4, 3, rho=8.0, c=0.6).requires_grad_()
    assert gradcheck(lambda v, w: midpoint(v, w, 0.6), (outer, weights), eps=1e-7, atol=1e-4)


@given(few_dims, seeds)
@settings(max_examples=20)
def test_midpoint_is_the_weighted_mean_in_the_flat_limit(dim, seed):
    v, weights = vectors(seed, 8, dim), weights_of(seed, 8, 1)
    close(midpoint(v, weights, 1e-10), (v * weights).sum(0) / weights.sum(), rtol=1e-6, atol=1e-8)
