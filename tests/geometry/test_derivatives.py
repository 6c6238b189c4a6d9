"""First and second derivatives of the geometry against finite differences in float64, over the whole range of radii."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from hyperbolic_seg import geometry as g

C = 0.7
WEIGHTS = torch.tensor([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]], dtype=torch.float64)
FUNCTIONS = {
    'midpoint': lambda v, w, c: g.midpoint(v, None, c),
    'midpoint of equal points': lambda v, w, c: g.midpoint(torch.stack([v[0], v[0], w[0]]), None, c),
    'mixed_midpoints': lambda v, w, c: g.mixed_midpoints(v, WEIGHTS, c),
    'distance': lambda v, w, c: g.distance(v, w, c),
    'pairwise_distance': lambda v, w, c: g.pairwise_distance(v, w, c),
    'mlr_logits': lambda v, w, c: g.mlr_logits(v, w, w[:, 0] / 10, c),
    'mobius_add': lambda v, w, c: g.mobius_add(v, w, c),
    'geodesic': lambda v, w, c: g.geodesic(v, w, 0.3, c),
    'transport_to_origin': lambda v, w, c: g.transport_to_origin(v, w, c),
    'transport_from_origin': lambda v, w, c: g.transport_from_origin(v, w, c),
    'exterior_angle': lambda v, w, c: g.exterior_angle(v, w, c),
    'pairwise_exterior_angle': lambda v, w, c: g.pairwise_exterior_angle(v, w, c),
    'half_aperture': lambda v, w, c: g.half_aperture(v, c),
    'from_hyperplane_distances': lambda v, w, c: g.from_hyperplane_distances(v, c),
    'rectify': lambda v, w, c: g.rectify(v, c),
    'cosine_similarity': lambda v, w, c: g.cosine_similarity(v, w),
    'radius': lambda v, w, c: g.radius(v),
}


def vectors(rho):
    """Two batches of vectors of one length: the same numbers in another order, so that radii are exactly equal."""
    torch.manual_seed(0)
    v = torch.nn.functional.normalize(torch.randn(3, 4, dtype=torch.float64), dim=1) * rho / (2 * C**0.5)
    return v.requires_grad_(), v.detach()[:, [2, 0, 3, 1]].neg().requires_grad_()


@pytest.mark.parametrize('rho', [0.1, 1.0, 3.0, 8.0, 20.0, 60.0])
@pytest.mark.parametrize('function', FUNCTIONS)
def test_first_and_second_derivatives_are_those_of_the_values(function, rho):
    evaluate = FUNCTIONS[function]
    c = torch.tensor(C, dtype=torch.float64, requires_grad=True)
    inputs = (*vectors(rho), c)
    for check in (gradcheck, gradgradcheck):
        assert check(evaluate, inputs, rtol=1e-3, atol=1e-5, eps=1e-6)


@pytest.mark.parametrize('shape', [(3,), (3, 1), (2, 1, 1)])
def test_several_curvatures_are_refused(shape):
    v, w = (x.detach() for x in vectors(1.0))
    for name, evaluate in FUNCTIONS.items():
        if name not in ('cosine_similarity', 'radius'):
            with pytest.raises(ValueError, match=r'a space has one curvature, got a tensor of the shape \('):
                evaluate(v, w, torch.full(shape, C, dtype=torch.float64))


def test_a_curvature_of_one_element_is_a_number():
    v, w = (x.detach() for x in vectors(1.0))
    for name, evaluate in FUNCTIONS.items():
        c = torch.full((1, 1), C, dtype=torch.float64, requires_grad=True)
        scalar = torch.tensor(C, dtype=torch.float64, requires_grad=True)
        found, expected = evaluate(v, w, c), evaluate(v, w, scalar)
        assert found.shape == expected.shape and torch.equal(found, expected), name
        if name not in ('cosine_similarity', 'radius'):
            found.sum().backward()
            expected.sum().backward()
            assert c.grad.shape == (1, 1) and c.grad.item() == scalar.grad.item()
