"""Points by their space-like part: fully connected layers and rectification against explicit charts."""

import pytest
import torch
from hypothesis import given, settings
from torch.autograd import gradcheck, gradgradcheck

from hyperbolic_seg.geometry import (
    from_ball,
    from_hyperboloid,
    from_hyperplane_distances,
    mlr_logits,
    rectify,
    to_hyperboloid,
)
from tests.geometry.points import curvatures, dims, far, few_dims, near, seeds, vectors

close = torch.testing.assert_close


@given(curvatures, dims, seeds)
@settings(max_examples=40)
def test_fully_connected_output_is_that_of_shimizu(c, dim, seed):
    a = 3 * near(seed, 10, dim, c=c)
    w = torch.sinh(c**0.5 * a) / c**0.5
    x = w / (1 + (1 + c * w.square().sum(-1, keepdim=True)).sqrt())  # eq. 7, on the ball
    close(from_hyperplane_distances(a, c), from_ball(x, c), rtol=1e-8, atol=1e-9 / c**0.5)


@given(curvatures, few_dims, seeds)
@settings(max_examples=40)
def test_output_lies_at_the_given_distances_from_the_coordinate_hyperplanes(c, dim, seed):
    a = 2 * near(seed, 10, dim, c=c)
    normals = torch.eye(dim, dtype=torch.float64) / 2  # half units, by whose length a logit is twice a distance
    zero = torch.zeros(dim, dtype=torch.float64)
    close(mlr_logits(from_hyperplane_distances(a, c), normals, zero, c), a, rtol=1e-7, atol=1e-8 / c**0.5)


@pytest.mark.parametrize('scale', [1e-6, 1e-2, 1.0, 20.0, 100.0, 1e4])
@pytest.mark.parametrize('c', [0.03, 2.3])
def test_float32_is_accurate_for_any_distances(scale, c):
    a = vectors(0, 100, 8, length=scale / c**0.5).float()
    if scale < 500:  # where float64 holds the sine
        w = torch.sinh(c**0.5 * a.double())
        length = w.norm(dim=-1, keepdim=True)
        exact = w / length * torch.asinh(length) / (2 * c**0.5)
        assert ((from_hyperplane_distances(a, c) - exact).norm(dim=-1) <= 1e-5 * exact.norm(dim=-1)).all()
    else:
        exact = from_hyperplane_distances(a.double(), c)
        # exp(1e4) is known to 1e4 roundings: the direction loses digits, the length does not.
        close(from_hyperplane_distances(a, c).norm(dim=-1).double(), exact.norm(dim=-1), rtol=1e-5, atol=0)


@given(curvatures, dims, seeds)
@settings(max_examples=40)
def test_rectification_is_that_of_the_space_like_part(c, dim, seed):
    v = near(seed, 10, dim, c=c)
    space = torch.relu(to_hyperboloid(v, c)[:, 1:])
    time = (1 / c + space.square().sum(-1, keepdim=True)).sqrt()
    close(rectify(v, c), from_hyperboloid(torch.cat([time, space], -1), c), rtol=1e-7, atol=1e-8 / c**0.5)


@pytest.mark.parametrize('rho', [1e-6, 1e-3, 1.0, 10.0, 60.0, 300.0])
def test_rectification_in_float32_agrees_with_float64(rho):
    v = far(0, 100, 8, rho=rho, c=0.7).float()
    close(rectify(v, 0.7).double(), rectify(v.double(), 0.7), rtol=1e-5, atol=0)
    positive = v.abs()
    close(rectify(positive, 0.7), positive, rtol=1e-5, atol=0)
    assert (rectify(-positive, 0.7) == 0).all()


def test_gradients_of_the_maps_match_finite_differences():
    a = vectors(0, 5, 4, length=4).requires_grad_()
    c = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    assert gradcheck(from_hyperplane_distances, (a, c))
    assert gradgradcheck(from_hyperplane_distances, (a, c))
    assert gradcheck(rectify, (a, c))
    # All distances 0 is a regular point: half the identity.
    zero = torch.zeros(3, dtype=torch.float64)
    close(
        torch.autograd.functional.jacobian(lambda a: from_hyperplane_distances(a, 0.7), zero), torch.eye(3).double() / 2
    )


@given(few_dims, seeds)
@settings(max_examples=10)
def test_maps_are_euclidean_in_the_flat_limit(dim, seed):
    a = vectors(seed, 10, dim)
    close(from_hyperplane_distances(a, 1e-10), a / 2, rtol=1e-7, atol=1e-10)
    close(rectify(a, 1e-10), torch.relu(a), rtol=1e-7, atol=1e-10)
