"""Shared parts of the closed forms: types, safe roots, bounds of exponents and gradients in portions."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor

from hyperbolic_seg.geometry.kernel import Order, order_of

Scalar = float | Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Cast half precision to float32, in which the hyperbolic functions are evaluated."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def curvature_tensor(c: Scalar, like: Tensor) -> Tensor:
    """Return ``c`` as a scalar tensor with the type and device of ``like``.

    Raises:
        ValueError: A float is not positive, or a tensor has more than one element.
    """
    if not isinstance(c, Tensor):
        if not c > 0:
            raise ValueError(f'the curvature is -c with c > 0, got c = {c}')
        return torch.as_tensor(c, dtype=like.dtype, device=like.device)
    if c.ndim and c.shape.numel() != 1:
        raise ValueError(
            f'a space has one curvature, got a tensor of the shape {tuple(c.shape)}: expected a number or a tensor '
            'with one element; for several curvatures, call the function for each'
        )
    return (c.reshape(()) if c.ndim else c).to(like)


def safe_sqrt(x: Tensor) -> Tensor:
    """Return the square root of a non-negative tensor, with a gradient of 0 at 0 instead of infinity."""
    positive = x > 0
    return torch.where(positive, x, 1).sqrt().masked_fill(~positive, 0)


def lift_zero(x: Tensor) -> Tensor:
    """Return ``x >= 0`` with zeros replaced by the smallest normal number, for use as a divisor."""
    return x.clamp_min(torch.finfo(x.dtype).tiny)


def largest_exponent(dtype: torch.dtype) -> float:
    """Return the largest x for which the square of ``exp(2 x)`` is finite: 20 in float32, 161 in float64."""
    return math.log(torch.finfo(dtype).max) / 4.4


def cut_exponent(x: Tensor) -> Tensor:
    """Clamp to plus or minus :func:`largest_exponent`."""
    limit = largest_exponent(x.dtype)
    return x.clamp(-limit, limit)


def compiling() -> bool:
    """Return whether a compiler or exporter traces this."""
    if hasattr(torch.compiler, 'is_compiling'):
        return torch.compiler.is_compiling()
    return torch._dynamo.is_compiling()  # before torch 2.3


def transformed(gradient: Tensor | None = None) -> bool:
    """Return whether a transform of ``torch.func`` or forward mode is at work; PyTorch has no public way to ask.

    Args:
        gradient: Tell also whether it stands for many (``is_grads_batched`` of ``torch.autograd.grad``).
    """
    if compiling():
        return False
    batched = gradient is not None and 'Batched' in str(torch._C._dispatch_keys(gradient))
    return batched or torch._C._are_functorch_transforms_active() or torch.autograd.forward_ad._current_level >= 0


def readable(x: Tensor) -> bool:
    """Return whether branches can depend on values: not in a compiler, an exporter, a transform or on meta."""
    return not (x.is_meta or compiling() or torch.jit.is_tracing() or transformed())


def traced(x: Tensor) -> bool:
    """Return whether branches must not depend on values, or would make a GPU wait."""
    return x.device.type != 'cpu' or not readable(x)


def may_exceed(x: Tensor, limit: float | None = None) -> bool:
    """Return whether ``|x|`` exceeds a limit, by default :func:`largest_exponent`; True where :func:`traced`.

    The answer only selects between a short form and one that holds for all numbers.
    """
    if traced(x):
        return True
    return x.numel() > 0 and bool(x.detach().abs().max() > (largest_exponent(x.dtype) if limit is None else limit))


def sinh_cosh(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return hyperbolic sine, exact near 0, and cosine, from vectorized functions (``torch.sinh`` is not)."""
    up, down = torch.expm1(x), torch.expm1(-x)
    return (up - down) / 2, (up + down) / 2 + 1


def damped_sinh(x: Tensor) -> Tensor:
    """Return ``sinh(x) exp(-|x|)``, with the right derivatives at 0, where those of the sign and the modulus are 0."""
    return torch.where(x == 0, x, -torch.sign(x) * torch.expm1(-2 * x.abs()) / 2)


def positive_asinh(x: Tensor) -> Tensor:
    """Return the inverse hyperbolic sine of ``x >= 0`` with a finite square; vectorized, unlike ``torch.asinh``."""
    square = x.square()
    return torch.log1p(x + square / (1 + (1 + square).sqrt()))


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which autocast does not lower the precision.

    Args:
        device: Device of the computation; autocast does not know the meta device, which needs no context.
    """
    return nullcontext() if device.type == 'meta' else torch.autocast(device.type, enabled=False)


# Numbers per portion: few enough for the cache, enough for all threads.
_PORTION = 2**17

Gradients = tuple[Tensor | None, ...]
Numbers = tuple[Sequence[Tensor], Sequence[Tensor]]


class ClosedForm:
    """Function of broadcast tensors with its derivative; the class itself is used, without instances."""

    #: Returns the value. Autograd can differentiate it too, which gives derivatives of higher order.
    evaluate: ClassVar[Callable[..., Tensor]]

    @classmethod
    def differentiate(cls, gradient: Tensor, *inputs: Tensor, needed: Sequence[bool]) -> Gradients:
        """Return the gradient by every input, ``None`` where not ``needed``; broadcast dimensions may stay unsummed."""
        raise NotImplementedError

    #: Name in the compiled kernel, which takes over where it is loaded.
    kernel: ClassVar[str | None] = None

    @classmethod
    def numbers(cls, *inputs: Tensor) -> Numbers | None:
        """Return the numbers of the vectors and of the classes for the kernel, or None where an exponent is cut."""
        raise NotImplementedError

    @classmethod
    def from_sums(
        cls, by_pairs: Tensor, of_vectors: Sequence[Tensor], of_classes: Sequence[Tensor], *inputs: Tensor
    ) -> Gradients:
        """Return the gradients by the inputs from those by pairs and the sums of the kernel."""
        raise NotImplementedError


def apply(form: type[ClosedForm], *inputs: Tensor) -> Tensor:
    """Evaluate a closed form; only its inputs are saved for the gradient.

    Args:
        form: The closed form.
        inputs: Tensors that broadcast together.
    """
    value: Tensor = form.evaluate(*inputs) if transformed() else _Apply.apply(form, *inputs)
    return value


def recomputed_gradients(
    function: Callable[..., Any], inputs: Sequence[Tensor], needed: Sequence[bool], gradients: Sequence[Tensor]
) -> Gradients:
    """Return gradients by running ``function`` again, so that they can be differentiated in turn."""
    with torch.enable_grad():
        chosen = [x for x, wanted in zip(inputs, needed, strict=True) if wanted]
        found = iter(torch.autograd.grad(function(*inputs), chosen, gradients, create_graph=True))
    return tuple(next(found) if wanted else None for wanted in needed)


def gradients_of(
    form: type[ClosedForm], gradient: Tensor, inputs: Sequence[Tensor], needed: Sequence[bool]
) -> Gradients:
    """Return the gradients of a closed form by its inputs, ``None`` where not ``needed``.

    Args:
        form: The closed form.
        gradient: Gradient by its value.
        inputs: Tensors that broadcast together.
        needed: Whether the gradient by each of them is needed.
    """
    if traced(gradient):
        found = form.differentiate(gradient, *inputs, needed=needed)
        return tuple(None if g is None else g.sum_to_size(x.shape) for g, x in zip(found, inputs, strict=True))
    if (arguments := _for_kernel(form, inputs)) is not None:
        found = _kernel_gradients(form, gradient, inputs, *arguments)
        return tuple(g if wanted else None for g, wanted in zip(found, needed, strict=True))
    totals = [torch.zeros_like(x) if wanted else None for x, wanted in zip(inputs, needed, strict=True)]
    dim, spans = _spans(inputs)
    for span in spans:
        found = form.differentiate(*(_part(x, dim, span) for x in (gradient, *inputs)), needed=needed)
        for total, g in zip(totals, found, strict=True):
            if total is not None and g is not None:
                target = _part(total, dim, span)
                target += g.sum_to_size(target.shape)
    return tuple(totals)


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, form: type[ClosedForm], *inputs: Tensor) -> Tensor:
        ctx.form = form
        ctx.save_for_backward(*inputs)
        if traced(inputs[0]):
            return form.evaluate(*inputs)
        if (arguments := _for_kernel(form, inputs)) is not None:
            order, vectors, classes = arguments
            pairs = inputs[1]
            return order.like(torch.ops.hyperbolic_seg.values(form.kernel, order.flat(pairs), vectors, classes), pairs)
        dim, spans = _spans(inputs)
        parts = [form.evaluate(*(_part(x, dim, span) for x in inputs)) for span in spans]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        inputs, needed = ctx.saved_tensors, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled() or transformed(gradient):
            return (None, *recomputed_gradients(ctx.form.evaluate, inputs, needed, (gradient,)))
        return (None, *gradients_of(ctx.form, gradient, inputs, needed))


def _for_kernel(form: type[ClosedForm], inputs: Sequence[Tensor]) -> tuple[Order, Tensor, Tensor] | None:
    """Return what the compiled kernel needs, or None where it does not take the form or the inputs."""
    if form.kernel is None or (order := order_of(inputs)) is None or (numbers := form.numbers(*inputs)) is None:
        return None
    return order, order.of_vectors(numbers[0]), torch.stack([x.reshape(-1) for x in numbers[1]])


def _kernel_gradients(
    form: type[ClosedForm],
    gradient: Tensor,
    inputs: Sequence[Tensor],
    order: Order,
    vectors: Tensor,
    classes: Tensor,
) -> Gradients:
    flat = order.flat(gradient), order.flat(inputs[1])
    by_pairs, of_vectors, of_classes = torch.ops.hyperbolic_seg.slopes(form.kernel, *flat, vectors, classes)
    return form.from_sums(
        order.like(by_pairs, inputs[1]),
        [order.like(x, inputs[0]) for x in of_vectors],
        [x.view(inputs[2].shape) for x in of_classes],
        *inputs,
    )


def _spans(inputs: Sequence[Tensor]) -> tuple[int, list[tuple[int, int]]]:
    """Return the longest dimension of the broadcast shape, counted from the end, and (start, length) of portions."""
    shape = torch.broadcast_shapes(*(x.shape for x in inputs))
    dim = max(range(-len(shape), 0), key=shape.__getitem__, default=-1)
    count = shape[dim] if shape else 1
    step = max(count * _PORTION // max(shape.numel(), 1), 1)
    return dim, [(start, min(step, count - start)) for start in range(0, count, step)] or [(0, 0)]


def _part(x: Tensor, dim: int, span: tuple[int, int]) -> Tensor:
    """Return a span of a tensor, or all of it where it is broadcast."""
    return x if x.ndim < -dim or x.shape[dim] == 1 else x.narrow(dim, *span)
