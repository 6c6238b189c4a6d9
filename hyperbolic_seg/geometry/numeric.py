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


def _compiling() -> bool:
    if hasattr(torch.compiler, 'is_compiling'):
        return torch.compiler.is_compiling()
    return torch._dynamo.is_compiling()  # before torch 2.3


def traced(x: Tensor) -> bool:
    """Whether Python's branches must not depend on data: under a compiler or exporter, and off the CPU."""
    return x.device.type != 'cpu' or _compiling() or torch.jit.is_tracing()


def may_exceed(x: Tensor, limit: float | None = None) -> bool:
    """Whether ``|x|`` exceeds a limit, by default that of a cut exponent; true where that must not be looked at.

    What is asked here only ever chooses between a short form and one that holds for any number.
    """
    if traced(x):
        return True
    return x.numel() > 0 and bool(x.detach().abs().max() > (largest_exponent(x.dtype) if limit is None else limit))


def sinh_cosh(x: Tensor) -> tuple[Tensor, Tensor]:
    """Hyperbolic sine, exact near 0, and cosine, by vectorised functions, which ``torch.sinh`` is not."""
    up, down = torch.expm1(x), torch.expm1(-x)
    return (up - down) / 2, (up + down) / 2 + 1


def positive_asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine of ``x >= 0`` whose square is finite; vectorised where ``torch.asinh`` is not."""
    square = x.square()
    return torch.log1p(x + square / (1 + (1 + square).sqrt()))
