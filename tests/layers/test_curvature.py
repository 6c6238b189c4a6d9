import pytest
import torch

from hyperbolic_seg.layers import Curvature


@pytest.mark.parametrize('value', [0.01, 1.0, 2.3])
@pytest.mark.parametrize('learned', [False, True])
def test_the_named_value_is_the_value(value, learned):
    assert Curvature(value, learned=learned)().item() == pytest.approx(value, rel=1e-6)


def test_it_stays_within_its_bounds_and_keeps_a_gradient():
    curvature = Curvature(1.0, learned=True, bounds=(0.5, 3.0))
    optimizer = torch.optim.SGD(curvature.parameters(), lr=1.0)
    for _ in range(20):
        optimizer.zero_grad()
        (-curvature()).backward()
        assert curvature.position.grad.abs() > 0
        optimizer.step()
    assert 2.5 < curvature().item() < 3.0


def test_its_gradient_is_that_of_finite_differences():
    curvature = Curvature(0.4, learned=True).double()
    curvature().backward()
    start, step = curvature.position.detach().clone(), 1e-6
    with torch.no_grad():
        curvature.position.copy_(start + step)
        above = curvature().item()
        curvature.position.copy_(start - step)
        below = curvature().item()
    assert curvature.position.grad.item() == pytest.approx((above - below) / (2 * step), rel=1e-6)


@pytest.mark.parametrize('value, bounds', [(0.0, None), (-1.0, None), (1.0, (2.0, 3.0)), (1.0, (1.0, 3.0))])
def test_impossible_values_are_refused(value, bounds):
    message = 'expected 0 < lower bound < value < upper bound' if bounds else 'expected a finite number of at least'
    with pytest.raises(ValueError, match=message):
        Curvature(value, bounds=bounds)
