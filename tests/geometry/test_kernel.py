"""The compiled kernel against the forms that it replaces, in float64."""

import pytest
import torch
from torch.autograd import gradcheck

from hyperbolic_seg.geometry import (
    kernel,
    kernel_loaded,
    load_cpu_kernel,
    mlr_logits,
    pairwise_distance,
    pairwise_exterior_angle,
)
from hyperbolic_seg.layers import EntailmentCones, HyperbolicMLR, HyperbolicPrototypes

FUNCTIONS = {
    'logit': lambda v, w, c, dim: mlr_logits(v, w, w[:, 0], c, dim),
    'distance': pairwise_distance,
    'angle': pairwise_exterior_angle,
}
LAYOUTS = {
    'rows': lambda v: (v, -1),
    'maps': lambda v: (v.view(2, 7, -1, v.shape[1]).permute(0, 3, 1, 2).contiguous(), 1),
    'channels last': lambda v: (v.view(2, 7, -1, v.shape[1]).permute(0, 3, 1, 2), 1),
    'tokens': lambda v: (v.view(2, -1, v.shape[1]).transpose(1, 2).contiguous(), 1),
    'first dimension': lambda v: (v.t().contiguous(), 0),
}


@pytest.fixture(scope='module')
def built():
    load_cpu_kernel()
    yield
    kernel._loaded = False


@pytest.fixture
def loaded(built, monkeypatch):
    monkeypatch.setattr(kernel, '_loaded', True)


def graded(function, v, w, layout, dtype):
    v, w, c = (x.to(dtype).requires_grad_() for x in (v.detach(), w.detach(), torch.tensor(0.7)))
    maps, dim = LAYOUTS[layout](v)
    values = FUNCTIONS[function](maps, w, c, dim)
    pull = torch.linspace(-1, 1, values.numel()).view(values.movedim(dim, -1).shape).movedim(-1, dim).to(dtype)
    return [x.double() for x in (values.detach(), *torch.autograd.grad(values, (v, w, c), pull))]


@pytest.mark.parametrize('rho', [0.01, 3.0, 12.0, 60.0])
@pytest.mark.parametrize('shape', [(3, 2), (40, 19), (70, 33)])
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('function', FUNCTIONS)
def test_the_kernel_computes_values_and_gradients_of_the_forms(function, layout, shape, rho, loaded, monkeypatch):
    generator = torch.Generator().manual_seed(1)
    dims, classes = shape
    v, w = (torch.randn(n, dims, generator=generator) / dims**0.5 * rho / 1.7 for n in (2 * 7 * 90, classes))
    v[5] = 0
    v[10:12] = 1.1 * w[:2]  # nearly parallel to a row
    v[12] = -w[0]
    got = graded(function, v, w, layout, torch.float32)
    expected = graded(function, v, w, layout, torch.float64)
    monkeypatch.setattr(kernel, '_loaded', False)
    plain = graded(function, v, w, layout, torch.float32)
    # Near a hyperplane or an apex float32 keeps few digits, with the kernel or without. Gradients by rows and by the
    # curvature are sums over vectors of terms that cancel, of which these are the sizes.
    summed = expected[0].abs().sum()
    for ours, replaced, right, size in zip(
        got, plain, expected, (0, 0, summed / w.norm(dim=1).min(), summed), strict=True
    ):
        off, allowed = ((x - right).norm() for x in (ours, replaced))
        assert off < 4 * allowed + 1e-6 * (right.norm() + size)


@pytest.mark.parametrize('layer', [HyperbolicMLR, HyperbolicPrototypes, EntailmentCones])
def test_the_kernel_trains_a_layer_as_without_it(layer, loaded, monkeypatch):
    torch.manual_seed(0)
    head, v = layer(24, 5, learned=True), torch.randn(2, 24, 9, 8)
    found = []
    for on in (True, False):
        monkeypatch.setattr(kernel, '_loaded', on)
        head.zero_grad()
        x = v.clone().requires_grad_()
        out = head(x)
        out.square().mean().backward()
        found.append((out.detach(), x.grad, [p.grad for p in head.parameters()]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=5e-6)


def test_the_kernel_leaves_float64_second_derivatives_and_transforms_alone(loaded):
    v = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    w = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda v, w: pairwise_distance(v, w, 0.7), (v, w))
    v, w = v.float(), w.float()
    expected = torch.stack([pairwise_distance(x[None], w)[0] for x in v])
    torch.testing.assert_close(torch.func.vmap(lambda x: pairwise_distance(x[None], w)[0])(v), expected)
    gradient = torch.autograd.grad(mlr_logits(v, w, w[:, 0]).square().sum(), v, create_graph=True)[0]
    assert torch.autograd.grad(gradient.square().sum(), v)[0].isfinite().all()


def test_without_a_compiler_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(kernel, '_loaded', False)
    monkeypatch.setenv('CXX', 'no-such-compiler')
    with pytest.raises(RuntimeError, match=r"built with 'no-such-compiler', which was not found: install g\+\+"):
        load_cpu_kernel()
    assert not kernel_loaded()
