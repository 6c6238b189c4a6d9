"""Geometry beside geoopt's ball, stereographic model and hyperboloid, and the closed forms that geoopt has there.

Ours take and return tangent coordinates at the origin, geoopt's take and return points. tests/geometry compares sums,
distances, geodesics and midpoints; here is what geoopt has beyond them.
"""

import geoopt
import torch
from geoopt.manifolds.stereographic import math as stereographic
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.geometry import (
    distance,
    from_ball,
    from_hyperplane_distances,
    geodesic,
    mlr_logits,
    mobius_add,
    pairwise_distance,
    to_ball,
    to_hyperboloid,
    transport_from_origin,
    transport_to_origin,
)
from tests.geometry.points import ball, curvatures, few_dims, hyperboloid, near, seeds, vectors
from tests.peers.examples import SOME

close = torch.testing.assert_close


def tolerance(c):
    return dict(rtol=1e-6, atol=1e-7 / c**0.5)


def gyration(a, b, v, c):
    """The rotation by which sums fail to associate, from our sums alone."""
    return mobius_add(-mobius_add(a, b, c), mobius_add(a, mobius_add(b, v, c), c), c)


def differential(v, a, c):
    """The tangent vector of the ball that a change ``a`` of the coordinates ``v`` becomes, with its point."""
    return torch.func.jvp(lambda v: ball(c).expmap0(v, project=False), (v,), (a,))


@SOME
@given(curvatures, few_dims, seeds)
def test_gyration_is_the_closed_form(c, dim, seed):
    a, b, v = (near(seed + i, 10, dim, c=c) for i in range(3))
    expected = ball(c).gyration(*(to_ball(x, c) for x in (a, b, v)))
    close(gyration(a, b, v, c), from_ball(expected, c), **tolerance(c))


@SOME
@given(curvatures, few_dims, seeds)
def test_differences_and_cosums_are_those_of_the_ball(c, dim, seed):
    a, b = near(seed, 10, dim, c=c, length=1), near(seed + 1, 10, dim, c=c, length=1)
    x, y = to_ball(a, c), to_ball(b, c)
    close(mobius_add(a, -b, c), from_ball(ball(c).mobius_sub(x, y), c), **tolerance(c))
    # A cosum turns the second point before it is added: a + gyr[a, -b] b.
    close(mobius_add(a, gyration(a, -b, b, c), c), from_ball(ball(c).mobius_coadd(x, y), c), **tolerance(c))
    close(mobius_add(a, -gyration(a, b, b, c), c), from_ball(ball(c).mobius_cosub(x, y), c), **tolerance(c))


@SOME
@given(curvatures, few_dims, seeds, st.floats(-1.5, 1.5))
def test_products_of_the_ball_are_linear_in_tangent_coordinates(c, dim, seed, factor):
    v, matrix = near(seed, 10, dim, c=c, length=1), vectors(seed + 1, 3, dim, length=1)
    x, scale = to_ball(v, c), torch.tensor(factor, dtype=torch.float64)
    close(from_ball(ball(c).mobius_scalar_mul(scale, x), c), factor * v, **tolerance(c))
    close(from_ball(ball(c).mobius_matvec(matrix, x), c), v @ matrix.t(), **tolerance(c))
    close(from_ball(ball(c).mobius_pointwise_mul(matrix[0], x), c), matrix[0] * v, **tolerance(c))
    close(from_ball(ball(c).mobius_fn_apply(torch.relu, x), c), torch.relu(v), **tolerance(c))


@SOME
@given(curvatures, few_dims, seeds, st.floats(-2, 2), st.floats(-2, 2))
def test_scalar_multiplication_is_repeated_addition_and_distributes(c, dim, seed, one, other):
    v = near(seed, 10, dim, c=c, length=0.7)
    repeated = torch.zeros_like(v)
    for count in range(1, 5):
        repeated = mobius_add(repeated, v, c)
        close(repeated, count * v, **tolerance(c))
    close(mobius_add(one * v, other * v, c), (one + other) * v, **tolerance(c))


@SOME
@given(curvatures, few_dims, seeds)
def test_logarithms_and_exponentials_at_a_point_are_translations(c, dim, seed):
    v, w = near(seed, 10, dim, c=c, length=1), near(seed + 1, 10, dim, c=c, length=1)
    x, y, chart = to_ball(v, c), to_ball(w, c), ball(c)
    seen = mobius_add(-v, w, c)  # w in the coordinates of an observer at v
    close(chart.transp0back(x, chart.logmap(x, y)), seen, **tolerance(c))
    close(from_ball(chart.expmap(x, chart.transp0(x, seen)), c), w, **tolerance(c))
    a = near(seed + 2, 10, dim, c=c, length=1)
    close(mobius_add(v, a, c), from_ball(chart.expmap(x, chart.transp0(x, a)), c), **tolerance(c))


@SOME
@given(curvatures, few_dims, seeds)
def test_transport_between_points_and_inner_products_are_those_of_the_ball(c, dim, seed):
    v, w = near(seed, 10, dim, c=c), near(seed + 1, 10, dim, c=c)
    a, b = vectors(seed + 2, 10, dim), vectors(seed + 3, 10, dim)
    (x, at_x), (_, other) = differential(v, a, c), differential(v, b, c)
    # To the origin, turned by the gyration of the two points, and out again.
    turned = gyration(w, -v, transport_to_origin(v, a, c), c)
    y, at_y = differential(w, transport_from_origin(w, turned, c), c)
    close(at_y, ball(c).transp(x, y, at_x), rtol=1e-6, atol=1e-7)
    inner = 4 * (transport_to_origin(v, a, c) * transport_to_origin(v, b, c)).sum(-1, keepdim=True)
    close(inner, ball(c).inner(x, at_x, other, keepdim=True), rtol=1e-6, atol=1e-7)


@SOME
@given(curvatures, few_dims, seeds)
def test_logits_are_distances_to_any_hyperplane(c, dim, seed):
    v, p = near(seed, 10, dim, c=c, length=1), near(seed + 1, 1, dim, c=c, length=1)
    normal = vectors(seed + 2, 1, dim) + 0.1
    # A hyperplane through any point is one through the origin for an observer there.
    logits = mlr_logits(mobius_add(-p, v, c), normal, torch.zeros(1).double(), c)[:, 0]
    signed = logits / (2 * normal.norm())
    x, q = to_ball(v, c), to_ball(p, c)
    close(signed, ball(c).dist2plane(x, q, normal, signed=True), **tolerance(c))
    close(signed.abs(), ball(c).dist2plane(x, q, normal), **tolerance(c))


@SOME
@given(curvatures, few_dims, seeds)
def test_a_point_is_as_far_from_the_coordinate_hyperplanes_as_it_is_said_to_be(c, dim, seed):
    a = near(seed, 10, dim, c=c, length=1)
    x, axes = to_ball(from_hyperplane_distances(a, c), c), torch.eye(dim, dtype=torch.float64)
    found = ball(c).dist2plane(x[:, None], torch.zeros_like(axes), axes, signed=True)
    close(found, a, **tolerance(c))


@SOME
@given(curvatures, few_dims, seeds)
def test_gradients_are_those_through_the_formulas_of_geoopt(c, dim, seed):
    v, w = near(seed, 6, dim, c=c), near(seed + 1, 4, dim, c=c) + 0.01 / c**0.5
    inputs = [v.requires_grad_(), w.requires_grad_(), torch.tensor(c, dtype=torch.float64, requires_grad=True)]
    k, t = -inputs[2], torch.tensor(0.3, dtype=torch.float64)
    x, y = (stereographic.expmap0(one, k=k) for one in inputs[:2])
    moved = stereographic.geodesic(t, x[:4], y, k=k)
    for ours, theirs in [
        (pairwise_distance(*inputs), stereographic.dist(x[:, None], y, k=k)),
        (mobius_add(v[:4], w, inputs[2]), stereographic.logmap0(stereographic.mobius_add(x[:4], y, k=k), k=k)),
        (geodesic(v[:4], w, t, inputs[2]), stereographic.logmap0(moved, k=k)),
    ]:
        weights = torch.randn(ours.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        got, wanted = (torch.autograd.grad((out * weights).sum(), inputs, retain_graph=True) for out in (ours, theirs))
        for one, other in zip(got, wanted, strict=True):
            close(one, other, rtol=1e-5, atol=1e-5 * (1 + other.abs().max().item()))


@SOME
@given(curvatures, few_dims, seeds)
def test_distance_has_a_riemannian_gradient_of_length_one(c, dim, seed):
    v, w = near(seed, 10, dim, c=c).requires_grad_(), near(seed + 1, 10, dim, c=c) + 0.1 / c**0.5
    (gradient,) = torch.autograd.grad(distance(v, w, c).sum(), v)
    x = to_ball(v.detach(), c)
    (expected,) = torch.autograd.grad(ball(c).dist(x.requires_grad_(), to_ball(w, c)).sum(), x)
    length = ball(c).norm(x, ball(c).egrad2rgrad(x, expected))
    close(transport_from_origin(v.detach(), gradient, c).norm(dim=-1) / 2, length, rtol=1e-6, atol=1e-6)
    close(length, torch.ones_like(length), rtol=1e-6, atol=1e-6)


@SOME
@given(curvatures, few_dims, seeds)
def test_points_of_the_hyperboloid_are_the_stereographic_ones(c, dim, seed):
    v = near(seed, 10, dim, c=c)
    space = geoopt.Stereographic(k=torch.tensor(-c, dtype=torch.float64))
    lifted = space.inv_sproj(to_ball(v, c))  # its time-like coordinate is the last
    close(to_hyperboloid(v, c), lifted.roll(1, -1), **tolerance(c))
    close(from_ball(space.sproj(to_hyperboloid(v, c).roll(-1, -1)), c), v, **tolerance(c))


@SOME
@given(curvatures, few_dims, seeds)
def test_maps_of_the_hyperboloid_are_translations(c, dim, seed):
    v, w = near(seed, 10, dim, c=c, length=1), near(seed + 1, 10, dim, c=c, length=1) + 0.1 / c**0.5
    chart, zero = hyperboloid(c), torch.zeros(10, 1, dtype=torch.float64)
    x, y, seen = to_hyperboloid(v, c), to_hyperboloid(w, c), mobius_add(-v, w, c)
    # A velocity there is twice a change of coordinates: the radius of v is 2 |v|.
    close(chart.expmap0(torch.cat([zero, 2 * v], -1)), x, **tolerance(c))
    close(chart.transp0back(x, chart.logmap(x, y)), torch.cat([zero, 2 * seen], -1), rtol=1e-5, atol=1e-6 / c**0.5)
    close(chart.expmap(x, chart.transp0(x, torch.cat([zero, 2 * seen], -1))), y, rtol=1e-5, atol=1e-6 / c**0.5)
    close(chart.dist0(x).flatten(), 2 * v.norm(dim=-1), rtol=1e-5, atol=1e-6 / c**0.5)
