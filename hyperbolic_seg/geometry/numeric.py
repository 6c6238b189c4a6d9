"""What the closed forms share: types, safe roots, and how far an exponential may go."""

import math

import torch
from torch import Tensor

Scalar = float | Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Cast half precision to float32, in which the hyperbolic functions are evaluated."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def curvature_tensor(c: Scalar, like: Tensor) -> Tensor:
    """Return ``c`` with the type and device of ``like``; raise ``ValueError`` if a float is not positive."""
    if not isinstance(c, Tensor) and not c > 0:
        raise ValueError(f'the curvature is -c with c > 0, got c = {c}')
    return torch.as_tensor(c, dtype=like.dtype, device=like.device)


def safe_sqrt(x: Tensor) -> Tensor:
    """Square root of a non-negative tensor whose gradient at 0 is 0 instead of infinite."""
    positive = x > 0
    return torch.where(positive, x, 1).sqrt().masked_fill(~positive, 0)


def lift_zero(x: Tensor) -> Tensor:
    """Return ``x >= 0`` with zeros replaced by the least normal number, to divide by."""
    return x.clamp_min(torch.finfo(x.dtype).tiny)


def largest_exponent(dtype: torch.dtype) -> float:
    """Return the x up to which ``exp(2 x)`` squared is finite: 20 in float32, 161 in float64."""
    return math.log(torch.finfo(dtype).max) / 4.4


def cut_exponent(x: Tensor) -> Tensor:
    """Clamp to what :func:`largest_exponent` allows, either way."""
    limit = largest_exponent(x.dtype)
    return x.clamp(-limit, limit)


def traced(x: Tensor) -> bool:
    """Whether Python's branches must not depend on data: under a compiler or exporter, and off the CPU."""
    return x.device.type != 'cpu' or torch.compiler.is_compiling() or torch.jit.is_tracing()


def may_exceed(x: Tensor) -> bool:
    """Whether a cut exponent may differ from ``x``; always true where that must not be looked at."""
    return traced(x) or (x.numel() > 0 and bool(x.abs().max() > largest_exponent(x.dtype)))


def sinh_cosh(x: Tensor) -> tuple[Tensor, Tensor]:
    """Hyperbolic sine, exact near 0, and cosine, by one vectorised exponential."""
    less_one = torch.expm1(x)
    exponential = less_one + 1
    return (less_one + less_one / exponential) / 2, (exponential + 1 / exponential) / 2


def positive_asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine of ``x >= 0`` whose square is finite; vectorised where ``torch.asinh`` is not."""
    square = x.square()
    return torch.log1p(x + square / (1 + (1 + square).sqrt()))
