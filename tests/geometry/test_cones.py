"""Entailment cones against their definitions on the ball and the hyperboloid."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from hyperbolic_seg.geometry import (
    exterior_angle,
    half_aperture,
    mobius_add,
    pairwise_exterior_angle,
    radius,
    to_ball,
    to_hyperboloid,
)
from tests.geometry.points import ball, curvatures, dims, far, few_dims, near, seeds, vectors

close = torch.testing.assert_close


@given(curvatures, dims.filter(lambda d: d > 1), seeds)
@settings(max_examples=40)
def test_exterior_angle_is_between_the_ray_and_the_geodesic(c, dim, seed):
    w, v = near(seed, 20, dim, c=c) * 0.9, near(seed + 1, 20, dim, c=c)
    # Both geodesics as tangent vectors at w, the angle between which the ball, being conformal, keeps.
    x, y = to_ball(w, c), to_ball(v, c)
    towards = torch.nn.functional.normalize(ball(c).logmap(x, y), dim=-1)
    onwards = torch.nn.functional.normalize(x, dim=-1)
    angle = 2 * torch.asin(((towards - onwards).norm(dim=-1) / 2).clamp_max(1))
    close(exterior_angle(w, v, c), angle, rtol=1e-6, atol=1e-6)


@given(curvatures, dims.filter(lambda d: d > 1), seeds)
@settings(max_examples=40)
def test_exterior_angle_is_that_of_meru(c, dim, seed):
    w, v = near(seed, 20, dim, c=c) + 0.05 / c**0.5 / dim**0.5, near(seed + 1, 20, dim, c=c)
    p, q = to_hyperboloid(w, c), to_hyperboloid(v, c)
    product = c * ((p * q)[:, 1:].sum(-1) - p[:, 0] * q[:, 0])
    below = c**0.5 * p[:, 1:].norm(dim=-1) * (product.square() - 1).sqrt()
    cosine = (c**0.5 * q[:, 0] + c**0.5 * p[:, 0] * product) / below
    inside = cosine.abs() < 0.999  # the arccosine cancels at its ends
    close(exterior_angle(w, v, c)[inside], torch.acos(cosine[inside]), rtol=1e-5, atol=1e-6)


@given(curvatures, few_dims, seeds, st.floats(0.02, 1))
@settings(max_examples=40)
def test_half_aperture_is_that_of_ganea(c, dim, seed, k):
    w = near(seed, 20, dim, c=c)
    x = c**0.5 * to_ball(w, c).norm(dim=-1)
    close(half_aperture(w, c, k), torch.asin((k * (1 - x.square()) / x).clamp_max(1)), rtol=1e-7, atol=1e-7)
    assert half_aperture(torch.zeros(1, 3), c, k).item() == pytest.approx(math.pi / 2)


@given(curvatures, seeds)
@settings(max_examples=40)
def test_cones_are_transitive(c, seed):
    k = 0.3
    w = near(seed, 3000, 3, c=c, length=0.8)
    v = w * 1.5 + 0.2 * near(seed + 1, 3000, 3, c=c, length=1)
    u = v * 1.5 + 0.2 * near(seed + 2, 3000, 3, c=c, length=1)

    def entails(parent, child):
        return exterior_angle(parent, child, c) <= half_aperture(parent, c, k)

    # Where a cone is a half-space there is no neighborhood of the origin to speak of: Ganea excludes it.
    proper = (half_aperture(w, c, k) < math.pi / 2) & (half_aperture(v, c, k) < math.pi / 2)
    chain = proper & entails(w, v) & entails(v, u)
    assert chain.sum() > 20
    assert entails(w[chain], u[chain]).all()


@given(curvatures, few_dims, seeds)
@settings(max_examples=30)
def test_pairs_give_what_paired_vectors_do(c, dim, seed):
    v, w = near(seed, 9, dim, c=c), near(seed + 1, 4, dim, c=c)
    paired = torch.stack([exterior_angle(row.expand_as(v), v, c) for row in w], -1)
    close(pairwise_exterior_angle(v, w, c), paired, rtol=1e-5, atol=2e-6)
    maps = v.t().reshape(1, dim, 3, 3)
    close(pairwise_exterior_angle(maps, w, c, dim=1)[0].flatten(1).t(), paired, rtol=1e-5, atol=2e-6)


def test_exterior_angles_on_the_ray_and_across_it_are_exact():
    w = torch.tensor([[0.4, 0.0]])
    for v, angle in [([0.9, 0.0], 0.0), ([0.1, 0.0], math.pi), ([-3.0, 0.0], math.pi), ([0.4, 0.0], 0.0)]:
        assert exterior_angle(w, torch.tensor([v]), 0.7).item() == pytest.approx(angle)
    # A step from w across the ray is at a right angle.
    across = mobius_add(w, torch.tensor([[0.0, 1e-3]]), 0.7)
    assert exterior_angle(w, across, 0.7).item() == pytest.approx(math.pi / 2, abs=1e-3)


@pytest.mark.parametrize('rho', [1e-6, 1e-3, 1.0, 10.0, 30.0, 60.0])
@pytest.mark.parametrize('c', [0.05, 2.3])
def test_float32_is_accurate_for_every_radius(rho, c):
    w, v = far(0, 200, 16, rho=rho, c=c).float(), far(1, 200, 16, rho=1.1 * rho, c=c).float()
    exact = exterior_angle(w.double(), v.double(), c)
    close(exterior_angle(w, v, c).double(), exact, rtol=1e-5, atol=1e-20)  # of angles to 1e-26, exp(-rho)
    close(half_aperture(w, c, 0.3).double(), half_aperture(w.double(), c, 0.3), rtol=1e-5, atol=1e-20)
    paired = torch.stack([exterior_angle(row.double().expand_as(v), v.double(), c) for row in w[:9]], -1)
    close(pairwise_exterior_angle(v, w[:9], c).double(), paired, rtol=1e-5, atol=1e-20)


def test_gradients_of_angles_match_finite_differences():
    w, v = (vectors(seed, 4, 3, length=1.5).requires_grad_() for seed in (0, 1))
    c = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    for function in (exterior_angle, lambda w, v, c: pairwise_exterior_angle(v, w, c)):
        assert gradcheck(function, (w, v, c))
        assert gradgradcheck(function, (w, v, c), atol=1e-4)
    assert gradcheck(lambda w, c: half_aperture(w, c, 0.2), (w, c))


def test_training_moves_a_child_into_the_cone():
    w, v = torch.tensor([[0.5, 0.1]]), torch.tensor([[-0.3, 0.4]], requires_grad=True)
    optimizer = torch.optim.Adam([v], lr=0.05)
    for _ in range(100):
        excess = (exterior_angle(w, v, 0.7) - half_aperture(w, 0.7, 0.1)).clamp_min(0).sum()
        optimizer.zero_grad()
        excess.backward()
        optimizer.step()
    assert excess.item() == 0
    assert radius(v.detach()).item() > radius(w).item()
