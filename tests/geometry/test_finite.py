"""Finite values and gradients for any finite input, in every type, and the same result under autocast."""

import pytest
import torch

from hyperbolic_seg import geometry as g

FUNCTIONS = {
    'radius': lambda v, w, c: g.radius(v),
    'distance': lambda v, w, c: g.distance(v, w, c),
    'pairwise_distance': lambda v, w, c: g.pairwise_distance(v, w, c),
    'mlr_logits': lambda v, w, c: g.mlr_logits(v, w, torch.linspace(-1, 1, len(w), dtype=g.radius(v).dtype), c),
    'exterior_angle': lambda v, w, c: g.exterior_angle(v, w, c),
    'pairwise_exterior_angle': lambda v, w, c: g.pairwise_exterior_angle(v, w, c),
    'half_aperture': lambda v, w, c: g.half_aperture(v, c) + g.half_aperture(w, c),
    'mobius_add': lambda v, w, c: g.mobius_add(v, w, c),
    'geodesic': lambda v, w, c: g.geodesic(v, w, 0.4, c),
    'midpoint': lambda v, w, c: g.midpoint(torch.stack([v, w]), None, c, over=0),
    'midpoint of one': lambda v, w, c: g.midpoint(
        torch.stack([v, w]), torch.tensor([0.0, 1.0]).view(2, 1, 1), c, over=0
    ),
    'mixed_midpoints': lambda v, w, c: g.mixed_midpoints(v, torch.softmax(w.float()[:, :1].t().clamp(-9, 9), -1), c),
    'transport_to_origin': lambda v, w, c: g.transport_to_origin(v, w, c),
    'transport_from_origin': lambda v, w, c: g.transport_from_origin(v, w, c),
    'from_hyperplane_distances': lambda v, w, c: g.from_hyperplane_distances(v, c) + w,
    'rectify': lambda v, w, c: g.rectify(v, c) + w,
}
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
# Functions whose value itself is exp(rho): beyond the type there is nothing finite to return.
GROWING = {'transport_to_origin', 'transport_from_origin'}


def pairs(scale, dtype):
    """Equal, antipodal, orthogonal, nearly parallel, unequal and zero vectors."""
    base = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    v = base * scale
    w = torch.stack([v[0], -v[1], v[2].roll(1), v[3] * 1.001, base[4], v[5] * 0, v[6] * 1e-3, v[7]])
    v[7] = 0
    return v.to(dtype).requires_grad_(), w.to(dtype).requires_grad_()


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('scale', [0.0, 1e-30, 1e-6, 1e-3, 1.0, 60.0, 1e4, 1e15])
@pytest.mark.parametrize('name', FUNCTIONS)
def test_values_and_gradients_are_finite(name, scale, dtype):
    v, w = pairs(scale, dtype)
    if not v.isfinite().all():
        pytest.skip(f'{dtype} does not hold {scale}')
    for c in (0.01, 1.0, 2.3):
        out = FUNCTIONS[name](v, w, c)
        assert out.dtype == (dtype if dtype == torch.float64 else torch.float32)
        assert out.isfinite().all()
        if name in GROWING and scale >= 60:
            continue  # their gradient is the stretch itself, which was cut
        # Scaled lest the gradient, an ordinary number in float32, leave float16 when it is cast to it.
        found = torch.autograd.grad(out.sum() * (1e-9 if dtype == torch.float16 else 1), (v, w), allow_unused=True)
        for gradient in found:
            assert gradient is None or gradient.isfinite().all()


@pytest.mark.parametrize('name', FUNCTIONS)
def test_under_autocast_nothing_changes(name):
    v, w = pairs(1.0, torch.float32)
    expected = FUNCTIONS[name](v, w, 0.5)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = FUNCTIONS[name](v, w, 0.5)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('name', FUNCTIONS)
def test_half_precision_is_that_of_its_input(name, dtype):
    """Only the input is rounded: everything after it is float32."""
    v, w = pairs(1.0, dtype)
    expected = FUNCTIONS[name](v.detach().float(), w.detach().float(), 0.5)
    torch.testing.assert_close(FUNCTIONS[name](v, w, 0.5), expected, rtol=1e-5, atol=1e-5)
