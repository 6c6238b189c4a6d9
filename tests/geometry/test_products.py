"""Lengths and components, in every layout and in portions."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from hyperbolic_seg.geometry import products, unit
from hyperbolic_seg.geometry.products import length_and_components
from tests.geometry.points import vectors

SHAPES = {
    'rows': ((40, 6), -1),
    'first dimension': ((6, 40), 0),
    'maps': ((2, 6, 5, 4), 1),
    'channels last': ((2, 6, 5, 4), 1),
    'tokens': ((2, 9, 6), 2),
    'one vector': ((6,), 0),
    'none': ((0, 6), 1),
    'one pixel': ((3, 6, 1, 1), 1),
}


def example(layout):
    shape, dim = SHAPES[layout]
    v = vectors(0, *[size for place, size in enumerate(shape) if place != dim % len(shape)], 6, length=3).movedim(
        -1, dim
    )
    v = v.contiguous(memory_format=torch.channels_last) if layout == 'channels last' else v.contiguous()
    return v, unit(vectors(1, 4, 6)), dim


@pytest.mark.parametrize('portion', [1, 60, 2**18])
@pytest.mark.parametrize('layout', SHAPES)
def test_every_layout_and_portion_gives_the_products(layout, portion, monkeypatch):
    monkeypatch.setattr(products, '_PORTION', portion)
    v, directions, dim = example(layout)
    v.requires_grad_()
    directions.requires_grad_()
    length, components = length_and_components(v, directions, dim)
    expected = v.norm(dim=dim, keepdim=True), torch.tensordot(v, directions, ([dim], [1])).movedim(-1, dim)
    pull = [torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out) for out in expected]
    for got, wanted in zip((length, components), expected, strict=True):
        torch.testing.assert_close(got, wanted)
    got = torch.autograd.grad((length, components), (v, directions), pull)
    for gradient, wanted in zip(got, torch.autograd.grad(expected, (v, directions), pull), strict=True):
        torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize('layout', ['rows', 'maps', 'channels last'])
def test_gradients_of_first_and_second_order(layout):
    v, directions, dim = example(layout)
    v, directions = v[:3].requires_grad_(), directions.requires_grad_()
    assert gradcheck(lambda *x: length_and_components(*x, dim), (v, directions))
    assert gradgradcheck(lambda *x: length_and_components(*x, dim), (v, directions))


@pytest.mark.parametrize('layout', ['rows', 'maps', 'channels last'])
def test_only_what_needs_a_gradient_gets_one(layout):
    v, directions, dim = example(layout)
    frozen = length_and_components(v.requires_grad_(), directions, dim)[1]
    assert torch.autograd.grad(frozen.sum(), v)[0].shape == v.shape
    learned = length_and_components(v.detach(), directions.requires_grad_(), dim)[1]
    assert torch.autograd.grad(learned.sum(), directions)[0].shape == directions.shape


def test_memory_layout_is_kept():
    v, directions, dim = example('channels last')
    _, components = length_and_components(v.requires_grad_(), directions, dim)
    assert components.is_contiguous(memory_format=torch.channels_last)
    gradient = torch.autograd.grad(components.square().sum(), v)[0]
    assert gradient.is_contiguous(memory_format=torch.channels_last)
