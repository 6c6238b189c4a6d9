import pytest
import torch
from hypothesis import given, settings
from torch.autograd import gradcheck

from hyperbolic_seg.geometry import (
    cosine_similarity,
    distance,
    mlr_logits,
    pairwise_distance,
    radius,
    safe_norm,
    to_ball,
)
from tests.geometry.points import ball, curvatures, dims, seeds, vectors


@given(curvatures, dims, seeds)
@settings(max_examples=60)
def test_distance_and_radius_are_those_of_the_ball(c, dim, seed):
    # sqrt(c) |v| <= 1.5: geoopt's own ball is exact there.
    v, w = vectors(seed, 20, dim, length=1.5 / c**0.5), vectors(seed + 1, 5, dim, length=1.5 / c**0.5)
    x, y = to_ball(v, c), to_ball(w, c)
    expected = ball(c).dist(x[:, None], y[None])
    torch.testing.assert_close(pairwise_distance(v, w, c), expected, rtol=1e-7, atol=1e-7 / c**0.5)
    torch.testing.assert_close(distance(v[:, None], w[None], c), expected, rtol=1e-7, atol=1e-8 / c**0.5)
    torch.testing.assert_close(distance(w[None], v[:, None], c), expected, rtol=1e-7, atol=1e-8 / c**0.5)
    torch.testing.assert_close(radius(v), ball(c).dist0(x), rtol=1e-9, atol=1e-9)


@given(curvatures, dims, seeds)
@settings(max_examples=60)
def test_mlr_logits_are_the_scaled_distance_to_the_hyperplane(c, dim, seed):
    v, z = vectors(seed, 20, dim, length=1.5 / c**0.5), vectors(seed + 1, 5, dim) + 0.1
    r = vectors(seed + 2, 5, 1, length=0.5)[:, 0]
    norm = z.norm(dim=-1, keepdim=True)
    p = ball(c).expmap0(r[:, None] * z / norm)
    a = (1 - c * p.square().sum(-1, keepdim=True)) * z
    reference = ball(c).dist2plane(to_ball(v, c)[:, None], p[None], a[None], signed=True)
    reference = reference * ball(c).lambda_x(p) * a.norm(dim=-1)
    torch.testing.assert_close(mlr_logits(v, z, r, c), reference, rtol=1e-6, atol=1e-6)


@given(seeds)
@settings(max_examples=20)
def test_distances_and_logits_are_euclidean_in_the_flat_limit(seed):
    v, w, r = vectors(seed, 9, 6), vectors(seed + 1, 4, 6) + 0.1, vectors(seed + 2, 4, 1)[:, 0]
    c = 1e-9
    torch.testing.assert_close(pairwise_distance(v, w, c), 2 * torch.cdist(v, w), rtol=1e-5, atol=1e-6)
    flat = 4 * (v @ w.t() - r * w.norm(dim=-1))
    torch.testing.assert_close(mlr_logits(v, w, r, c), flat, rtol=1e-5, atol=1e-6)


@given(curvatures, seeds)
@settings(max_examples=30)
def test_distance_is_a_metric(c, seed):
    v = vectors(seed, 12, 5, length=1.5 / c**0.5)
    d = pairwise_distance(v, v, c)
    torch.testing.assert_close(d, d.t())
    # The cosine of a vector with itself is 1 to rounding, of which the distance is the square root.
    assert d.diagonal().max() < 1e-5 / c**0.5
    assert (d[:, None, :] <= d[:, :, None] + d[None] + 1e-9).all()


@pytest.mark.parametrize('c', [0.1, 1.0, 2.3])
@pytest.mark.parametrize('rho', [1e-6, 1e-3, 1.0, 10.0, 30.0, 60.0])
def test_float32_is_accurate_for_every_radius(c, rho):
    length = rho / (2 * c**0.5)
    v = torch.nn.functional.normalize(vectors(0, 200, 16), dim=-1) * length
    w = torch.nn.functional.normalize(vectors(1, 6, 16), dim=-1) * length
    r = torch.linspace(-0.3, 0.3, 6, dtype=torch.float64)
    v32, w32, r32 = v.float(), w.float(), r.float()
    exact = pairwise_distance(v32.double(), w32.double(), c)
    torch.testing.assert_close(pairwise_distance(v32, w32, c).double(), exact, rtol=1e-5, atol=0)
    exact = mlr_logits(v32.double(), w32.double(), r32.double(), c)
    got = mlr_logits(v32, w32, r32, c).double()
    # Near its hyperplane the logit is a difference of large terms: nothing computed from float32 is accurate.
    s = 2 * c**0.5 * r
    clear = (cosine_similarity(v, w) * s.cosh() - s.sinh()).abs() > 0.1
    assert clear.float().mean() > 0.7
    torch.testing.assert_close(got[clear], exact[clear], rtol=1e-5, atol=1e-6 * rho)


@pytest.mark.parametrize('c', [0.3, 1.7])
def test_gradients_of_distances_and_logits_match_finite_differences(c):
    v, w = vectors(0, 4, 3, length=2).requires_grad_(), vectors(1, 3, 3).add(0.2).requires_grad_()
    r = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64, requires_grad=True)
    curvature = torch.tensor(c, dtype=torch.float64, requires_grad=True)
    assert gradcheck(pairwise_distance, (v, w, curvature))
    assert gradcheck(mlr_logits, (v, w, r, curvature))


@pytest.mark.parametrize('channels_last', [False, True])
def test_vectors_may_lie_in_the_channels(channels_last):
    v = vectors(0, 2, 5, 4, 8, length=2).movedim(-1, 1).contiguous()  # (N, D, H, W)
    if channels_last:
        v = v.contiguous(memory_format=torch.channels_last)
    w, r = vectors(1, 3, 8) + 0.1, torch.zeros(3, dtype=torch.float64)
    flat = v.movedim(1, -1).reshape(-1, 8)
    for dense, rows in [
        (pairwise_distance(v, w, 0.7, dim=1), pairwise_distance(flat, w, 0.7)),
        (mlr_logits(v, w, r, 0.7, dim=1), mlr_logits(flat, w, r, 0.7)),
        (cosine_similarity(v, w, dim=1), cosine_similarity(flat, w)),
    ]:
        assert dense.shape == (2, 3, 5, 4)
        torch.testing.assert_close(dense.movedim(1, -1).reshape(-1, 3), rows)


def test_safe_norm_overflows_only_where_the_result_does():
    huge = torch.tensor([[3e30, 4e30]])
    torch.testing.assert_close(safe_norm(huge), torch.tensor([5e30]))


def test_curvature_must_be_positive():
    with pytest.raises(ValueError, match='c > 0, got c = -1'):
        pairwise_distance(torch.ones(1, 2), torch.ones(1, 2), c=-1.0)


@given(curvatures, seeds)
@settings(max_examples=30)
def test_paired_distance_is_exact_between_near_points(c, seed):
    v = vectors(seed, 50, 8, length=1 / c**0.5)
    step = 1e-4 * vectors(seed + 1, 50, 8) / c**0.5
    v, w = v.float(), (v + step).float()
    exact = distance(v.double(), w.double(), c)
    # The directions are rounded: three digits of the step are left, where a cosine would leave none.
    torch.testing.assert_close(distance(v, w, c).double(), exact, rtol=1e-2, atol=1e-6 / c**0.5)
    assert (distance(v, v, c) == 0).all()
