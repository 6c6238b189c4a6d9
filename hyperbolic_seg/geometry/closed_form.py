"""Closed forms with derivatives of their own, evaluated in portions that stay in a CPU core's cache."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from hyperbolic_seg.geometry.numeric import traced

# Numbers in a portion: few enough for the cache, enough for every thread.
_PORTION = 2**17

Gradients = tuple[Tensor | None, ...]


class ClosedForm:
    """A function of tensors that broadcast, and its derivative; used as a class, without an instance."""

    #: Returns the value; differentiable as it stands too, which gives derivatives of higher order.
    evaluate: ClassVar[Callable[..., Tensor]]

    @classmethod
    def differentiate(cls, gradient: Tensor, *inputs: Tensor, needed: Sequence[bool]) -> Gradients:
        """Return the gradient by every input, or None where not ``needed``, summed over what was broadcast or not."""
        raise NotImplementedError


def apply(form: type[ClosedForm], *inputs: Tensor) -> Tensor:
    """Evaluate a closed form; nothing but its inputs is kept for the gradient.

    Args:
        form: What to evaluate.
        inputs: Tensors that broadcast.
    """
    return _Apply.apply(form, *inputs)


def recomputed_gradients(
    function: Callable, inputs: Sequence[Tensor], needed: Sequence[bool], gradients: Sequence[Tensor]
) -> Gradients:
    """Gradients by running ``function`` again, which can be differentiated in turn."""
    with torch.enable_grad():
        chosen = [x for x, wanted in zip(inputs, needed, strict=True) if wanted]
        found = iter(torch.autograd.grad(function(*inputs), chosen, gradients, create_graph=True))
    return tuple(next(found) if wanted else None for wanted in needed)


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, form: type[ClosedForm], *inputs: Tensor) -> Tensor:
        ctx.form = form
        ctx.save_for_backward(*inputs)
        if traced(inputs[0]):
            return form.evaluate(*inputs)
        dim, spans = _spans(inputs)
        parts = [form.evaluate(*(_part(x, dim, span) for x in inputs)) for span in spans]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        inputs, needed = ctx.saved_tensors, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            return (None, *recomputed_gradients(ctx.form.evaluate, inputs, needed, (gradient,)))
        if traced(gradient):
            found = ctx.form.differentiate(gradient, *inputs, needed=needed)
            return (None, *(None if g is None else g.sum_to_size(x.shape) for g, x in zip(found, inputs, strict=True)))
        totals = [torch.zeros_like(x) if wanted else None for x, wanted in zip(inputs, needed, strict=True)]
        dim, spans = _spans(inputs)
        for span in spans:
            found = ctx.form.differentiate(*(_part(x, dim, span) for x in (gradient, *inputs)), needed=needed)
            for total, g in zip(totals, found, strict=True):
                if total is not None:
                    target = _part(total, dim, span)
                    target += g.sum_to_size(target.shape)
        return (None, *totals)


def _spans(inputs: Sequence[Tensor]) -> tuple[int, list[tuple[int, int]]]:
    """Return the longest dimension of what the inputs broadcast to, from the end, and (start, length) of portions."""
    shape = torch.broadcast_shapes(*(x.shape for x in inputs))
    dim = max(range(-len(shape), 0), key=shape.__getitem__, default=-1)
    count = shape[dim] if shape else 1
    step = max(count * _PORTION // max(shape.numel(), 1), 1)
    return dim, [(start, min(step, count - start)) for start in range(0, count, step)] or [(0, 0)]


def _part(x: Tensor, dim: int, span: tuple[int, int]) -> Tensor:
    """Return the span of a tensor; all of it where it is broadcast."""
    return x if x.ndim < -dim or x.shape[dim] == 1 else x.narrow(dim, *span)
