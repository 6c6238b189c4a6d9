"""Distances of nearly parallel vectors, which decide a class, against float64 on the same float32 numbers."""

import pytest
import torch

from hyperbolic_seg.geometry import distance, pairwise, pairwise_distance
from hyperbolic_seg.layers import HyperbolicPrototypes

ANGLES = (1e-6, 1e-4, 2e-3, 0.019, 0.021, 0.1, 0.26, 0.49, 0.51, 1.0)
LAYOUTS = {
    'rows': lambda v: (v, -1),
    'maps': lambda v: (v.view(2, -1, 1, v.shape[1]).permute(0, 3, 1, 2).contiguous(), 1),
    'channels last': lambda v: (v.view(2, -1, 1, v.shape[1]).permute(0, 3, 1, 2), 1),
    'tokens': lambda v: (v.view(2, -1, v.shape[1]).transpose(1, 2).contiguous(), 1),
}


def pairs(dims, rho, angle, stretch):
    """Return vectors and rows at an angle; every second vector is longer than its row by a share."""
    generator = torch.Generator().manual_seed(dims)
    w, across = (torch.randn(16, dims, generator=generator, dtype=torch.float64) for _ in range(2))
    w /= w.norm(dim=1, keepdim=True)
    across -= (across * w).sum(1, keepdim=True) * w
    across /= across.norm(dim=1, keepdim=True)
    v = (torch.cos(torch.tensor(angle)) * w + torch.sin(torch.tensor(angle)) * across) * rho / 2
    v[::2] *= 1 + stretch
    return v.float(), (w * rho / 2).float()


def graded(function, v, w, c):
    """Return distances of the pairs and their gradients by both vectors and by the curvature, in float64."""
    inputs = [x.detach().clone().requires_grad_() for x in (v, w, c)]
    distances = function(*inputs)
    return distances.detach().double(), [x.double() for x in torch.autograd.grad(distances.sum(), inputs)]


def off(got, expected):
    """Return the largest error, relative to the length of each row."""
    got, expected = (x.reshape(len(x), -1) if x.ndim else x.reshape(1, 1) for x in (got, expected))
    return ((got - expected).norm(dim=1) / expected.norm(dim=1)).max().item()


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('dims', [2, 512])
def test_distances_and_gradients_are_right_to_1e_5_at_any_angle(dims, layout, monkeypatch):
    monkeypatch.setattr(pairwise, '_PORTION', 8 * dims)  # several portions

    def of_pairs(v, w, c):
        found = pairwise_distance(*(LAYOUTS[layout](v)[0], w), c, dim=LAYOUTS[layout](v)[1])
        return found.movedim(LAYOUTS[layout](v)[1], -1).reshape(len(v), len(w)).diagonal()

    for rho in (0.5, 7.0, 15.0, 40.0):
        for angle in ANGLES:
            v, w = pairs(dims, rho, angle, 0.3 * angle)
            c = torch.tensor(1.0)
            got, gradients = graded(of_pairs, v, w, c)
            right, expected = graded(distance, v.double(), w.double(), c.double())
            assert off(got, right) < 1e-5, (rho, angle)
            for gradient, wanted in zip(gradients, expected, strict=True):
                assert off(gradient, wanted) < 1e-5, (rho, angle)


def test_a_vector_may_be_near_many_rows_and_a_row_near_many_vectors():
    v, w = pairs(8, 3.0, 1e-3, 0.0)
    v, w = v[:1].repeat(6, 1) * torch.linspace(0.9, 1.1, 6)[:, None], w[:1].repeat(4, 1)
    c = torch.tensor(0.7)
    got, gradients = graded(pairwise_distance, v, w, c)
    right, expected = graded(lambda v, w, c: distance(v[:, None], w, c), v.double(), w.double(), c.double())
    torch.testing.assert_close(got, right, rtol=1e-5, atol=0)
    for gradient, wanted in zip(gradients, expected, strict=True):
        assert off(gradient, wanted) < 1e-5


@pytest.mark.parametrize('angle', [1e-3, 0.1])
def test_second_derivatives_of_near_pairs(angle):
    v, w = pairs(8, 3.0, angle, 0.1)

    def second(function, v, w):
        v = v.clone().requires_grad_()
        (slope,) = torch.autograd.grad(function(v, w).sum(), v, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), v)[0].double()

    got = second(lambda v, w: pairwise_distance(v, w).diagonal(), v, w)
    assert off(got, second(distance, v.double(), w.double())) < 1e-3


def test_prototypes_tell_near_ones_apart():
    v, w = pairs(64, 10.0, 2e-3, 0.0)
    classifier = HyperbolicPrototypes(64, 16, c=1.0, scale=1.0)
    with torch.no_grad():
        classifier.weight.copy_(w)
    logits = classifier(v).diagonal().double()
    expected = 2 * v.double().norm(dim=1) - distance(v.double(), w.double())
    torch.testing.assert_close(logits, expected, rtol=2e-6, atol=0)


def test_only_one_input_may_need_a_gradient():
    v, w = pairs(8, 3.0, 1e-3, 0.1)
    c = torch.tensor(0.7)
    _, expected = graded(pairwise_distance, v, w, c)
    for place in range(3):
        inputs = [x.clone().requires_grad_(number == place) for number, x in enumerate((v, w, c))]
        pairwise_distance(*inputs).sum().backward()
        assert [x.grad is not None for x in inputs] == [number == place for number in range(3)]
        torch.testing.assert_close(inputs[place].grad.double(), expected[place], rtol=1e-4, atol=1e-5)
