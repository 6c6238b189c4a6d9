"""Tangent vectors of points given by their space-like part on the hyperboloid, however far out."""

import torch
from torch import Tensor

from hyperbolic_seg.geometry.numeric import (
    Scalar,
    at_least_float32,
    curvature_tensor,
    largest_exponent,
    may_exceed,
    positive_asinh,
    sinh_cosh,
)
from hyperbolic_seg.geometry.tangent import safe_norm


def from_space(space: Tensor, exponent: Tensor | None, root_c: Tensor, dim: int) -> Tensor:
    """Tangent vectors of the points whose space-like part is ``space * exp(exponent) / root_c``.

    Where the exponent is large, ``space`` must not be small; without one, its square must be finite.
    """
    if exponent is None:
        length = safe_norm(space, dim, keepdim=True)
        moved = length > 0
        stretch = torch.where(moved, positive_asinh(length) / torch.where(moved, length, 1), 1)
        return space * (stretch / (2 * root_c))
    cut = exponent.clamp_max(largest_exponent(space.dtype))
    length = safe_norm(space, dim, keepdim=True)
    rho = positive_asinh(length * torch.exp(cut)) + (exponent - cut)
    moved = length > 0
    stretch = torch.where(moved, rho / torch.where(moved, length, 1), torch.exp(cut))
    return space * (stretch / (2 * root_c))


def to_space(v: Tensor, rho: Tensor, norm: Tensor, root_c: Tensor) -> Tensor:
    """Return ``sinh(rho) u exp(-rho)`` for ``v = norm u`` and ``rho = 2 root_c norm``, smooth at the origin."""
    moved = norm > 0
    return v * torch.where(moved, -torch.expm1(-2 * rho) / 2 / torch.where(moved, norm, 1), 2 * root_c)


def from_hyperplane_distances(a: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    r"""Point at given signed distances from the coordinate hyperplanes through the origin.

    What a fully connected layer of Shimizu, Mukuta and Harada (ICLR 2021, eq. 7) makes of its logits: the
    point whose k-th coordinate on the hyperboloid is :math:`\sinh(\sqrt c\, a_k) / \sqrt c`. Where all are
    small that is ``a / 2``.

    Args:
        a: Signed distances, shape (..., D, ...), of any size.
        c: Curvature magnitude, positive.
        dim: The dimension of the coordinates.

    Returns:
        Tangent vectors, same shape, in at least float32.
    """
    a = at_least_float32(a)
    root_c = curvature_tensor(c, a).sqrt()
    scaled = root_c * a
    if not may_exceed(scaled):
        return from_space(sinh_cosh(scaled)[0], None, root_c, dim)
    largest = scaled.detach().abs().amax(dim, keepdim=True)
    space = -torch.sign(a) * torch.expm1(-2 * scaled.abs()) * torch.exp(scaled.abs() - largest) / 2
    # Of a sign at 0 there is no derivative: there the sine is its argument.
    space = torch.where(a == 0, scaled, space)
    return from_space(space, largest, root_c, dim)


def rectify(v: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    """Rectified space-like part of points on the hyperboloid (Bdeir, Schwethelm and Landwehr, ICLR 2024).

    The rectification of tangent coordinates themselves, which the ball's library calls a Moebius version, is
    ``torch.relu``; this one also shortens a vector as the hyperboloid's part that is left does.

    Args:
        v: Tangent vectors, shape (..., D, ...).
        c: Curvature magnitude, positive.
        dim: The dimension of the vectors.

    Returns:
        Tangent vectors, same shape, in at least float32.
    """
    v = at_least_float32(v)
    root_c = curvature_tensor(c, v).sqrt()
    norm = safe_norm(v, dim, keepdim=True)
    rho = 2 * root_c * norm
    return from_space(to_space(torch.relu(v), rho, norm, root_c), rho, root_c, dim)
