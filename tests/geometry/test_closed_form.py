"""Own derivatives, portions, broadcasting and what is kept for the gradient."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.autograd.graph import saved_tensors_hooks

from hyperbolic_seg.geometry import mlr_logits, numeric, pairwise_distance, pairwise_exterior_angle
from hyperbolic_seg.geometry.cones import _ExteriorAngle
from hyperbolic_seg.geometry.distances import _AngularDistance, _Distance
from hyperbolic_seg.geometry.hyperplanes import _MLRLogits
from hyperbolic_seg.geometry.numeric import apply
from tests.geometry.points import vectors

FORMS = {'distance': _Distance, 'angular': _AngularDistance, 'mlr': _MLRLogits, 'angle': _ExteriorAngle}


def inputs(name, rho=2.0, dtype=torch.float64):
    """Norms of shape (2, 1, 7), something paired of shape (2, 3, 7), and classes of shape (3, 1)."""
    root_c = 0.8
    length = rho / (2 * root_c)
    norm = length * (0.2 + 0.8 * vectors(0, 14, 1)[:, 0].abs().view(2, 1, 7))
    share = vectors(1, 42, 1)[:, 0].view(2, 3, 7)
    paired = 1 + share if name == 'angular' else norm * share
    classes = length * (0.3 + 0.7 * vectors(2, 3, 1).abs())
    last = [0.3 * vectors(3, 3, 1)] if name == 'mlr' else []
    return tuple(x.to(dtype).requires_grad_() for x in (norm, paired, classes, *last, torch.tensor(root_c).double()))


@pytest.mark.parametrize('rho', [0.5, 4.0, 40.0])
@pytest.mark.parametrize('name', FORMS)
def test_derivatives_match_finite_differences(name, rho):
    x = inputs(name, rho)
    assert gradcheck(lambda *x: apply(FORMS[name], *x), x, eps=1e-7, atol=1e-4, rtol=1e-3)
    if rho < 10:
        assert gradgradcheck(lambda *x: apply(FORMS[name], *x), x, atol=1e-4)


@pytest.mark.parametrize('name', FORMS)
def test_derivatives_equal_autograd_beyond_the_cut_exponent(name):
    x = inputs(name, rho=1200.0)  # float64 cuts at 161
    value, formula = apply(FORMS[name], *x), FORMS[name].evaluate(*x)
    torch.testing.assert_close(value, formula)
    for got, wanted in zip(torch.autograd.grad(value.sum(), x), torch.autograd.grad(formula.sum(), x), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('portion', [1, 5, 17, 2**17])
@pytest.mark.parametrize('name', FORMS)
def test_the_portion_size_changes_neither_values_nor_gradients(name, portion, monkeypatch):
    x = inputs(name)
    wanted = apply(FORMS[name], *x)
    wanted_gradients = torch.autograd.grad(wanted.cos().sum(), x)
    monkeypatch.setattr(numeric, '_PORTION', portion)
    got = apply(FORMS[name], *x)
    torch.testing.assert_close(got, wanted)
    for one, other in zip(torch.autograd.grad(got.cos().sum(), x), wanted_gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize('name', FORMS)
def test_inputs_broadcast_either_way(name, monkeypatch):
    monkeypatch.setattr(numeric, '_PORTION', 4)
    whole = list(torch.broadcast_tensors(*inputs(name)[:-1]))
    whole[1] = 0.1 * whole[1]  # a component of any of the lengths
    root_c = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    for narrow in range(len(whole)):
        x = [full.detach() for full in whole]
        x[narrow] = x[narrow][:1, :, :1]
        x = [one.requires_grad_() for one in x]
        got, formula = apply(FORMS[name], *x, root_c), FORMS[name].evaluate(*x, root_c)
        torch.testing.assert_close(got, formula)
        pairs = zip(*(torch.autograd.grad(out.sum(), (*x, root_c)) for out in (got, formula)), strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('size', [(64, 32), (256, 19), (512, 171)])
def test_memory_saved_for_the_gradient_is_bounded(size, dtype):
    dim, classes = size
    v = torch.randn(2, dim, 4, 8, dtype=dtype, requires_grad=True)
    w, r = torch.randn(classes, dim, requires_grad=True), torch.zeros(classes, requires_grad=True)
    pixels = 2 * 4 * 8
    for function in (
        lambda: pairwise_distance(v, w, 0.7, dim=1),
        lambda: mlr_logits(v, w, r, 0.7, dim=1),
        lambda: pairwise_exterior_angle(v, w, 0.7, dim=1),
    ):
        kept = {}

        def keep(x, kept=kept):
            if x.numel() % pixels == 0 and x.numel() >= pixels and x.shape[0] == 2:
                kept[x.data_ptr()] = max(x.numel() // pixels, kept.get(x.data_ptr(), 0))
            return x

        with saved_tensors_hooks(keep, lambda x: x):
            function()
        assert dim + classes <= sum(kept.values()) <= dim + 3 * classes + 8, (size, kept)


def test_empty_inputs_give_empty_outputs():
    v, w = torch.zeros(0, 5, requires_grad=True), torch.ones(3, 5, requires_grad=True)
    for out in (pairwise_distance(v, w), mlr_logits(v, w, torch.zeros(3)), pairwise_exterior_angle(v, w)):
        assert out.shape == (0, 3)
        out.sum().backward()
    assert (w.grad == 0).all()
