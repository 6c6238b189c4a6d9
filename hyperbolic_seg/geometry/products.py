"""Lengths and components of dense vectors: the matrix product behind every dense closed form."""

import math
from typing import Any

import torch
from torch import Tensor

from hyperbolic_seg.geometry.kernel import Order, takes
from hyperbolic_seg.geometry.numeric import full_precision, recomputed_gradients, traced, transformed

# Numbers per portion, which stay in the cache of a CPU core.
_PORTION = 2**18


def length_and_components(v: Tensor, directions: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return the length of every vector and its inner products with unit vectors.

    Only the vectors and their lengths are saved for the gradient. On a CPU they are processed in portions that stay in
    the cache, forward and backward, in the order of memory. When traced or compiled, and on other devices, it is a
    plain convolution or matrix product.

    Args:
        v: Tangent vectors, shape (..., D, ...) with D at ``dim``, float32 or float64.
        directions: Unit vectors, shape (K, D), of the same type.
        dim: Dimension of the vectors in ``v``.

    Returns:
        Lengths with ``dim`` of size 1, and components with K in place of D. A component that overflows is 0 or the
        largest number.
    """
    dim = dim % v.ndim
    plain = traced(v) or v.numel() == 0
    with full_precision(v.device):
        if plain and not transformed() and dim == 1 and _in_channels_last(v):  # transforms do not tell the order
            length, components = _maps(v, directions)
        else:
            evaluate = _matrices if plain else _Matrices.apply
            length, components = (_from_matrices(x, v, dim) for x in evaluate(_as_matrices(v, dim), directions))
    largest = torch.finfo(v.dtype).max ** 0.5
    if not plain and length.detach().max() < largest:  # then no component overflows
        return length, components
    return length.clamp_max(largest), components.nan_to_num(0)


def _in_channels_last(v: Tensor) -> bool:
    return v.ndim == 4 and v.is_contiguous(memory_format=torch.channels_last) and not v.is_contiguous()


def _as_matrices(v: Tensor, dim: int) -> Tensor:
    """View (..., D, ...) as (B, D, P): one matrix if the vectors are rows in memory, otherwise one for each map."""
    rows = v.movedim(dim, -1)
    if rows.is_contiguous():
        return rows.reshape(-1, v.shape[dim]).t()[None]
    return v.reshape(math.prod(v.shape[:dim]), v.shape[dim], math.prod(v.shape[dim + 1 :]))


def _from_matrices(x: Tensor, like: Tensor, dim: int) -> Tensor:
    """View (B, K, P) in the shape of ``like``, with K in place of its dimension ``dim``."""
    if like.movedim(dim, -1).is_contiguous():
        return x[0].t().reshape(*like.movedim(dim, -1).shape[:-1], x.shape[1]).movedim(-1, dim)
    return x.reshape(*like.shape[:dim], x.shape[1], *like.shape[dim + 1 :])


def _matrices_like(stack: Tensor, rows: int) -> Tensor:
    """Return an empty tensor (B, rows, P) with the memory layout of ``stack``."""
    batch, _, count = stack.shape
    if stack.stride(2) == 1:
        return stack.new_empty(batch, rows, count)
    return stack.new_empty(batch, count, rows).transpose(1, 2)


def _portions(*stacks: Tensor) -> Any:
    """Yield corresponding portions of columns of all stacks."""
    size = max(_PORTION // stacks[0].shape[1], 1)
    for matrices in zip(*(stack.unbind() for stack in stacks), strict=True):
        yield from zip(*(matrix.split(size, 1) for matrix in matrices), strict=True)


def _maps(v: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    length = torch.linalg.vector_norm(v, dim=1, keepdim=True)
    return length, torch.nn.functional.conv2d(v, directions[..., None, None])


def _matrices(stack: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    length = torch.linalg.vector_norm(stack, dim=1, keepdim=True)
    return length, torch.bmm(directions.expand(stack.shape[0], -1, -1), stack)


class _Matrices(torch.autograd.Function):
    """Lengths and components of matrices (B, D, P), in portions."""

    @staticmethod
    def forward(ctx: Any, stack: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        if takes(stack, directions):
            order = Order(stack, 1)
            found = torch.ops.hyperbolic_seg.products(order.flat(stack), directions.contiguous())
            length, components = (x.t()[None] if order.in_rows else x for x in found)
            ctx.save_for_backward(stack, directions, length)
            return length, components
        if stack.stride(2) != 1 and len(stack) == 1:  # rows, whose norms and product need no portions
            rows = stack[0].t()
            length, components = torch.linalg.vector_norm(rows, dim=1, keepdim=True), torch.mm(rows, directions.t())
            length, components = length.t()[None], components.t()[None]
            ctx.save_for_backward(stack, directions, length)
            return length, components
        length, components = _matrices_like(stack, 1), _matrices_like(stack, len(directions))
        for v, squared, inner in _portions(stack, length, components):
            torch.sum(v.square(), 0, keepdim=True, out=squared)  # Adds in pairs, unlike a product with ones.
            torch.mm(directions, v, out=inner)
        length.sqrt_()
        ctx.save_for_backward(stack, directions, length)
        return length, components

    @staticmethod
    def backward(ctx: Any, by_length: Tensor, by_components: Tensor) -> tuple[Tensor | None, ...]:
        stack, directions, length = ctx.saved_tensors
        if torch.is_grad_enabled() or transformed(by_components):
            inputs, gradients = (stack, directions), (by_length, by_components)
            return recomputed_gradients(_matrices, inputs, ctx.needs_input_grad, gradients)
        pull = torch.where(length > 0, by_length / length, 0)
        if takes(by_components, stack, directions):
            order = Order(stack, 1)
            by_v, by_directions = torch.ops.hyperbolic_seg.products_backward(
                *(order.flat(x) for x in (pull, by_components, stack)), directions.contiguous(), ctx.needs_input_grad[0]
            )
            by_v = (by_v.t()[None] if order.in_rows else by_v) if ctx.needs_input_grad[0] else None
            return by_v, by_directions
        by_v = _matrices_like(stack, stack.shape[1]) if ctx.needs_input_grad[0] else None
        by_directions = torch.zeros_like(directions)
        columns = directions.t()
        for v, pulled, inner, *out in _portions(stack, pull, by_components, *([] if by_v is None else [by_v])):
            by_directions.addmm_(inner, v.t())
            for target in out:
                torch.mul(v, pulled, out=target).addmm_(columns, inner)
        return by_v, by_directions
