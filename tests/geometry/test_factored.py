import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.geometry import distance
from hyperbolic_seg.geometry.factored import LARGEST_RADIUS, column_factors, factored_distances, row_factors
from tests.geometry.points import curvatures, far, few_dims, near, seeds


def by_factors(v, w, c):
    """Distances (K, P) of vectors v (P, D) and w (K, D)."""
    c = torch.tensor(c, dtype=torch.float64)
    lengths, others = (x.norm(dim=1) for x in (v, w))
    rows = row_factors(w / others.clamp_min(1e-300)[:, None], others, c)
    factors = column_factors(v.t(), lengths, c)
    return factored_distances(rows, factors, torch.empty(len(w), len(v))) / c.sqrt()


def exact(v, w, c):
    return distance(v[None], w[:, None], c).float()


@given(seeds, few_dims, curvatures)
def test_distances_are_those_of_every_pair(seed, dims, c):
    v, w = near(seed, 7, dims, c=c), near(seed + 1, 5, dims, c=c)
    torch.testing.assert_close(by_factors(v, w, c), exact(v, w, c), rtol=1e-6, atol=1e-7)


@given(seeds, curvatures, st.sampled_from([1e-5, 1e-3, 0.1]))
def test_distances_of_near_points_are_right(seed, c, apart):
    v = near(seed, 6, 8, c=c) + 0.1
    w = v + apart * near(seed + 1, 6, 8, c=c)
    torch.testing.assert_close(by_factors(v, w, c), exact(v, w, c), rtol=1e-5, atol=2e-7 / c**0.5)


@given(seeds, curvatures)
def test_distances_at_the_largest_radius_are_right(seed, c):
    v, w = (far(seed + i, 5, 8, rho=LARGEST_RADIUS, c=c) for i in range(2))
    torch.testing.assert_close(by_factors(v, w, c), exact(v, w, c), rtol=1e-6, atol=0)


def test_a_vector_of_length_zero_is_the_origin():
    w = torch.tensor([[0.5, 0.0], [0.0, 0.0]], dtype=torch.float64)
    found = by_factors(torch.zeros(1, 2, dtype=torch.float64), w, 1.0)
    torch.testing.assert_close(found, torch.tensor([[1.0], [0.0]]))
