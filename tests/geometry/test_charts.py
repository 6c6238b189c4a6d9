import geoopt
import pytest
import torch
from hypothesis import given, settings

from hyperbolic_seg.geometry import distance, from_ball, from_hyperboloid, to_ball, to_hyperboloid
from tests.geometry.points import curvatures, few_dims, hyperboloid, near, seeds, vectors


@pytest.mark.parametrize('c', [0.01, 0.7, 2.3])
@pytest.mark.parametrize('dim', [-1, 1])
def test_round_trip_in_float64(c, dim):
    v = torch.randn(3, 5, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / c**0.5
    x = to_ball(v, c, dim)
    assert (c**0.5 * x.norm(dim=dim) < 1).all()
    torch.testing.assert_close(from_ball(x, c, dim), v, rtol=1e-7, atol=1e-9)
    ball = geoopt.PoincareBall(c=torch.tensor(c, dtype=torch.float64))
    torch.testing.assert_close(x, ball.expmap0(v, dim=dim, project=False))


def test_the_origin_has_a_gradient():
    v = torch.zeros(1, 3, requires_grad=True)
    to_ball(v, 0.7).sum().backward()
    torch.testing.assert_close(v.grad, torch.ones(1, 3))


def test_beyond_what_the_type_can_hold_is_an_error():
    v = torch.tensor([[8.0, 0.0]])
    with pytest.raises(ValueError, match='of the radius of the Poincare ball, and torch.float32 holds'):
        to_ball(v)
    torch.testing.assert_close(from_ball(to_ball(v.double())), v.double())
    with pytest.raises(ValueError, match='stay in tangent coordinates'):
        from_ball(torch.tensor([[1.0, 0.0]]))


@given(curvatures, few_dims, seeds)
@settings(max_examples=40)
def test_hyperboloid_is_that_of_geoopt(c, dim, seed):
    v, w = near(seed, 10, dim, c=c), near(seed + 1, 10, dim, c=c)
    chart, x, y = hyperboloid(c), to_hyperboloid(v, c), to_hyperboloid(w, c)
    chart.assert_check_point_on_manifold(x, atol=1e-7 / c)
    torch.testing.assert_close(from_hyperboloid(x, c), v, rtol=1e-7, atol=1e-9 / c**0.5)
    torch.testing.assert_close(chart.dist(x, y).squeeze(), distance(v, w, c), rtol=1e-5, atol=1e-6 / c**0.5)
    # Both charts are of one space.
    torch.testing.assert_close(x[:, 1:] / (1 + c**0.5 * x[:, :1]), to_ball(v, c), rtol=1e-7, atol=1e-9 / c**0.5)


def test_hyperboloid_maps_vectors_in_the_channels():
    v = vectors(0, 2, 3, 4, 5).movedim(-1, 1)
    x = to_hyperboloid(v, 0.7, dim=1)
    assert x.shape == (2, 6, 3, 4)
    torch.testing.assert_close(x.movedim(1, -1), to_hyperboloid(v.movedim(1, -1), 0.7))
    torch.testing.assert_close(from_hyperboloid(x, 0.7, dim=1), v)


def test_hyperboloid_refuses_what_it_cannot_hold():
    v = torch.tensor([[6.0, 0.0]])
    with pytest.raises(ValueError, match='time-like axis of the hyperboloid.*float32 holds points up to'):
        to_hyperboloid(v)
    torch.testing.assert_close(from_hyperboloid(to_hyperboloid(v.double())), v.double())
    with pytest.raises(ValueError, match='lies off the hyperboloid of curvature -c, c = 0.7'):
        from_hyperboloid(to_hyperboloid(v.double() / 6, 1.0), 0.7)
    origin = torch.zeros(1, 2, requires_grad=True)
    to_hyperboloid(origin, 0.7)[:, 1:].sum().backward()
    torch.testing.assert_close(origin.grad, torch.full((1, 2), 2.0))
