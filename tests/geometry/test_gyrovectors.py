"""Sums, geodesics and transport: geoopt's ball in float64, the laws of a gyrovector space, and far points."""

import pytest
import torch
from hypothesis import given, settings
from torch.autograd import gradcheck, gradgradcheck

from hyperbolic_seg.geometry import (
    distance,
    from_ball,
    geodesic,
    mobius_add,
    radius,
    to_ball,
    transport_from_origin,
    transport_to_origin,
)
from tests.geometry.points import ball, curvatures, dims, far, few_dims, near, seeds, vectors

close = torch.testing.assert_close


@given(curvatures, dims, seeds)
@settings(max_examples=40)
def test_sum_is_that_of_the_ball(c, dim, seed):
    v, w = near(seed, 20, dim, c=c), near(seed + 1, 20, dim, c=c)
    expected = from_ball(ball(c).mobius_add(to_ball(v, c), to_ball(w, c)), c)
    close(mobius_add(v, w, c), expected, rtol=1e-7, atol=1e-8 / c**0.5)


@given(curvatures, few_dims, seeds)
@settings(max_examples=40)
def test_gyrogroup_laws(c, dim, seed):
    a, b, x, y = (near(seed + i, 10, dim, c=c) for i in range(4))
    tolerance = dict(rtol=1e-7, atol=1e-8 / c**0.5)

    def add(v, w):
        return mobius_add(v, w, c)

    def gyration(v):
        return add(-add(a, b), add(a, add(b, v)))

    close(add(torch.zeros_like(a), a), a)
    close(add(a, torch.zeros_like(a)), a)
    close(add(-a, a), torch.zeros_like(a), rtol=0, atol=1e-12 / c**0.5)
    close(add(-a, add(a, b)), b, **tolerance)  # left cancellation
    close(add(a, add(b, x)), add(add(a, b), gyration(x)), **tolerance)  # left gyroassociativity
    close(add(a, b), gyration(add(b, a)), **tolerance)  # gyrocommutativity
    close(radius(gyration(x)), radius(x), **tolerance)  # a gyration turns
    close(gyration(add(x, y)), add(gyration(x), gyration(y)), **tolerance)  # and is an automorphism
    close(gyration(2 * x), 2 * gyration(x), **tolerance)  # linear in tangent coordinates
    close(add(x, x), 2 * x, **tolerance)


@given(curvatures, dims, seeds)
@settings(max_examples=40)
def test_translation_is_an_isometry(c, dim, seed):
    a, v, w = (near(seed + i, 20, dim, c=c) for i in range(3))
    moved = distance(mobius_add(a, v, c), mobius_add(a, w, c), c)
    close(moved, distance(v, w, c), rtol=1e-7, atol=1e-8 / c**0.5)
    close(radius(mobius_add(-v, w, c)), distance(v, w, c), rtol=1e-7, atol=1e-8 / c**0.5)


@pytest.mark.parametrize('rho', [1e-6, 1e-3, 1.0, 5.0, 20.0, 60.0, 300.0])
@pytest.mark.parametrize('c', [0.03, 2.3])
@pytest.mark.parametrize('share', [1e-3, 0.9, 1.0])
def test_sum_in_float32_is_accurate_far_out(rho, c, share):
    v, w = far(0, 50, 8, rho=rho, c=c).float(), far(1, 50, 8, rho=rho * share, c=c).float()
    exact = mobius_add(v.double(), w.double(), c)
    error = (mobius_add(v, w, c) - exact).norm(dim=-1) / exact.norm(dim=-1)
    assert error.max() < 1e-5
    close(radius(mobius_add(-v, w, c)), distance(v, w, c), rtol=1e-5, atol=0)
    if rho > 5:  # there the rounding of the directions is longer than what is left below
        return
    nearly = -v * (1 + 1e-3)
    exact = mobius_add(v.double(), nearly.double(), c)
    error = (mobius_add(v, nearly, c) - exact).norm(dim=-1) / exact.norm(dim=-1)
    assert error.max() < 2e-3  # of seven digits four are left


@given(curvatures, dims, seeds)
@settings(max_examples=40)
def test_geodesic_is_that_of_the_ball(c, dim, seed):
    v, w = near(seed, 10, dim, c=c), near(seed + 1, 10, dim, c=c)
    for t in (0.0, 0.3, 1.0, 1.2):
        expected = from_ball(ball(c).geodesic(torch.tensor(t).double(), to_ball(v, c), to_ball(w, c)), c)
        close(geodesic(v, w, t, c), expected, rtol=1e-6, atol=1e-7 / c**0.5)


@pytest.mark.parametrize('rho', [1e-6, 1.0, 10.0, 60.0, 200.0])
@pytest.mark.parametrize('c', [0.03, 2.3])
def test_geodesic_divides_the_distance_in_float32(rho, c):
    v, w = far(0, 50, 8, rho=rho, c=c).float(), far(1, 50, 8, rho=0.8 * rho, c=c).float()
    whole = distance(v, w, c)
    for t in (0.0, 0.25, 0.9, 1.0):
        point = geodesic(v, w, t, c)
        exact = geodesic(v.double(), w.double(), t, c)
        assert ((point - exact).norm(dim=-1) <= 1e-5 * v.norm(dim=-1)).all()
        if rho <= 20:  # beyond, float64 itself does not hold the directions well enough
            close(distance(v.double(), exact, c), t * whole.double(), rtol=1e-5, atol=1e-5 * rho / c**0.5)


def test_geodesic_between_equal_points_stays():
    v = vectors(0, 5, 4, length=3).float()
    close(geodesic(v, v, 0.3, 0.7), v)
    close(geodesic(torch.zeros(2, 3), torch.zeros(2, 3), 0.3), torch.zeros(2, 3))
    shares = torch.tensor([[0.0], [0.2], [0.5], [0.7], [1.0]])
    w = vectors(1, 5, 4).float()
    close(geodesic(v, w, shares, 0.7)[2], geodesic(v[2], w[2], 0.5, 0.7))


@given(curvatures, few_dims, seeds)
@settings(max_examples=40)
def test_transport_is_that_of_the_ball(c, dim, seed):
    v, a = near(seed, 10, dim, c=c), vectors(seed + 1, 10, dim)
    chart = ball(c)
    point, pushed = torch.func.jvp(lambda x: to_ball_unchecked(x, c), (v,), (a,))
    # The chart's derivative at the origin is the identity, and lengths are 2 |a| there on either side.
    close(transport_to_origin(v, a, c), chart.transp0back(point, pushed), rtol=1e-7, atol=1e-8)
    close(chart.norm(point, pushed), 2 * transport_to_origin(v, a, c).norm(dim=-1), rtol=1e-7, atol=1e-8)
    close(transport_from_origin(v, transport_to_origin(v, a, c), c), a, rtol=1e-9, atol=1e-12)


def to_ball_unchecked(v, c):
    norm = v.norm(dim=-1, keepdim=True) * c**0.5
    return v * torch.tanh(norm) / norm


@pytest.mark.parametrize('function', [mobius_add, geodesic, transport_to_origin, transport_from_origin])
def test_vectors_may_lie_in_the_channels(function):
    maps = [vectors(seed, 2, 5, 4, 8, length=2).movedim(-1, 1) for seed in (0, 1)]
    extra = (0.3,) if function is geodesic else ()
    rows = [x.movedim(1, -1) for x in maps]
    close(function(*maps, *extra, 0.7, dim=1).movedim(1, -1), function(*rows, *extra, 0.7))


@pytest.mark.parametrize('function', [mobius_add, geodesic, transport_to_origin, transport_from_origin, distance])
def test_gradients_of_gyrovector_operations_match_finite_differences(function):
    v, w = (vectors(seed, 3, 2, length=1.2).requires_grad_() for seed in (0, 1))
    c = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    extra = (0.3,) if function is geodesic else ()
    assert gradcheck(lambda v, w, c: function(v, w, *extra, c), (v, w, c))
    assert gradgradcheck(lambda v, w, c: function(v, w, *extra, c), (v, w, c))
    # Far out, where other branches are taken.
    v, w = (far(seed, 3, 2, rho=9.0, c=0.6).requires_grad_() for seed in (2, 3))
    assert gradcheck(lambda v, w: function(v, w, *extra, 0.6), (v, w), eps=1e-7, atol=1e-4)


@given(few_dims, seeds)
@settings(max_examples=20)
def test_operations_are_those_of_vectors_in_the_flat_limit(dim, seed):
    v, w = vectors(seed, 10, dim), vectors(seed + 1, 10, dim)
    close(mobius_add(v, w, 1e-10), v + w, rtol=1e-6, atol=1e-8)
    close(geodesic(v, w, 0.3, 1e-10), 0.7 * v + 0.3 * w, rtol=1e-6, atol=1e-8)
    close(transport_to_origin(v, w, 1e-10), w, rtol=1e-6, atol=1e-8)
    close(distance(v, w, 1e-10), 2 * (v - w).norm(dim=-1), rtol=1e-6, atol=1e-8)
