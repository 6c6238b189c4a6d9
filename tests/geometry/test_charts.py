import geoopt
import pytest
import torch

from hyperbolic_seg.geometry import from_ball, to_ball


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
