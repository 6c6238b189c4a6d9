"""Gyrovector operations in tangent coordinates: Moebius addition, geodesics and parallel transport.

Batch normalization uses the first two. Parallel transport is an extension that no model of this package uses.
"""

import math

import torch
from torch import Tensor

from hyperbolic_seg.geometry.hyperboloid import from_space, to_space
from hyperbolic_seg.geometry.numeric import (
    Scalar,
    at_least_float32,
    curvature_tensor,
    damped_sinh,
    largest_exponent,
    lift_zero,
    may_exceed,
)
from hyperbolic_seg.geometry.tangent import distance, safe_norm, unit


def mobius_add(v: Tensor, w: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    r"""Moebius addition, :math:`\log_0(\exp_0(v) \oplus_c \exp_0(w))`: translation by ``v``, an isometry.

    Args:
        v: Tangent vectors, shape (..., D, ...).
        w: Tangent vectors with as many dimensions; both broadcast.
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors in both.

    Returns:
        Sums in tangent coordinates, broadcast shape, in at least float32.
    """
    v, w = at_least_float32(v), at_least_float32(w)
    root_c = curvature_tensor(c, v).sqrt()
    norm_v, norm_w = safe_norm(v, dim, keepdim=True), safe_norm(w, dim, keepdim=True)
    rho_v, rho_w = 2 * root_c * norm_v, 2 * root_c * norm_w
    # A short summand is added on the hyperboloid, which is smooth at the origin. Two long summands may nearly cancel,
    # so their length and direction come from forms without cancellation.
    short = torch.minimum(rho_v, rho_w) < 2
    space_v, space_w = to_space(v, rho_v, norm_v, root_c), to_space(w, rho_w, norm_w, root_c)
    cosh_w, less_one_v = (1 + torch.exp(-2 * rho_w)) / 2, torch.expm1(-rho_v).square() / 2
    # (cosh(rho_v) - 1) / sinh(rho_v)^2, over the common factor of the exponentials
    curved = less_one_v / lift_zero(torch.expm1(-2 * rho_v).square() / 4)
    inner = (space_v * space_w).sum(dim, keepdim=True)
    space = space_v * (cosh_w + torch.where(rho_v > 0, curved, 0.5) * inner) + torch.exp(-rho_v) * space_w
    if not may_exceed(torch.minimum(rho_v, rho_w), 2.0):
        return from_space(space, rho_v + rho_w, root_c, dim)
    by_space = from_space(torch.where(short, space, 1), rho_v + rho_w, root_c, dim)
    by_angle = _far_direction(v, w, rho_v, rho_w, dim) * (distance(-v, w, c, dim).unsqueeze(dim) / 2)
    return torch.where(short, by_space, by_angle)


def _far_direction(v: Tensor, w: Tensor, rho_v: Tensor, rho_w: Tensor, dim: int) -> Tensor:
    """Return the direction of the sum, also where the summands nearly cancel."""
    along, both = unit(v, dim), unit(v, dim) + unit(w, dim)
    coversine = both.square().sum(dim, keepdim=True) / 2  # 1 + cos
    # The space-like part over exp(rho_v + rho_w), times exp(lift), so that the difference of the radii does not
    # underflow.
    gap, least = rho_v - rho_w, 2 * torch.minimum(rho_v, rho_w)
    lift = least.clamp_max(2 * largest_exponent(v.dtype))
    sinh_gap = damped_sinh(gap) * torch.exp(lift - least)
    sinh_w = -torch.expm1(-2 * rho_w) / 2 * torch.exp(lift)
    forward = sinh_gap + (1 + torch.exp(-2 * rho_v)) / 2 * sinh_w * coversine
    space = forward * along + sinh_w * torch.exp(-rho_v) * (both - coversine * along)
    # Where even that underflows, the summands are antipodal, and the longer one gives the direction.
    resolved = safe_norm(space, dim, keepdim=True) > torch.finfo(v.dtype).tiny ** (1 / 3)
    return torch.where(resolved, unit(torch.where(resolved, space, 1), dim), torch.sign(gap) * along.detach())


def geodesic(v: Tensor, w: Tensor, t: Scalar, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    """Return the point at the fraction ``t`` of the geodesic from ``v`` to ``w``.

    Args:
        v: Tangent vectors, shape (..., D, ...).
        w: Tangent vectors, broadcastable to ``v``.
        t: 0 gives ``v``, 1 gives ``w``; a tensor must broadcast to them, with ``dim`` of size 1.
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors in both.

    Returns:
        Points in tangent coordinates, in at least float32.
    """
    v, w = torch.broadcast_tensors(at_least_float32(v), at_least_float32(w))
    root_c = curvature_tensor(c, v).sqrt()
    t = torch.as_tensor(t, dtype=v.dtype, device=v.device)
    whole = root_c * distance(v, w, c, dim).unsqueeze(dim)
    shares = [_share(1 - t, whole), _share(t, whole)]
    norms = [safe_norm(x, dim, keepdim=True) for x in (v, w)]
    rhos = [2 * root_c * norm for norm in norms]
    # sinh((1 - t) d) sinh(rho_v) / sinh(d) grows with the first exponent, the same term of w with the second.
    exponents = [rhos[0] - t * whole, rhos[1] - (1 - t) * whole]
    largest = torch.maximum(*exponents).clamp_min(0)
    terms = [
        to_space(x, rho, norm, root_c) * (share * torch.exp(exponent - largest))
        for x, rho, norm, share, exponent in zip((v, w), rhos, norms, shares, exponents, strict=True)
    ]
    return from_space(terms[0] + terms[1], largest, root_c, dim)


def _share(t: Tensor, whole: Tensor) -> Tensor:
    """Return ``sinh(t d) / sinh(d) * exp((1 - t) d)``; it is ``t`` where d is 0."""
    apart = whole > 0
    whole = torch.where(apart, whole, 1)
    return torch.where(apart, torch.expm1(-2 * t * whole) / torch.expm1(-2 * whole), t)


def transport_to_origin(v: Tensor, a: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    r"""Parallel transport of a change of tangent coordinates, from the point :math:`\exp_0(v)` to the origin.

    A change ``a`` of the coordinates at ``v`` keeps its component along ``v``. The component across grows by
    :math:`\sinh\rho / \rho`.

    Args:
        v: Points in tangent coordinates, shape (..., D, ...).
        a: Changes of their coordinates, such as velocities, broadcastable to ``v``.
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors in both.

    Returns:
        Vectors at the origin of equal hyperbolic length, in at least float32; the growth is capped where the
        exponential would overflow, beyond rho = 87 in float32.
    """
    return _stretched(v, a, _growth(v, c, dim), dim)


def transport_from_origin(v: Tensor, a: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    r"""Parallel transport from the origin to :math:`\exp_0(v)`: the inverse of :func:`transport_to_origin`.

    Args:
        v: Target points in tangent coordinates, shape (..., D, ...).
        a: Vectors at the origin, broadcastable to ``v``.
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors in both.

    Returns:
        Changes of coordinates at ``v``, in at least float32.
    """
    return _stretched(v, a, 1 / _growth(v, c, dim), dim)


def _growth(v: Tensor, c: Scalar, dim: int) -> Tensor:
    """Return sinh(rho) / rho."""
    norm = safe_norm(v, dim, keepdim=True)
    rho = 2 * curvature_tensor(c, norm).sqrt() * norm
    moved = rho > 0
    rho = torch.where(moved, rho, 1)
    largest = math.log(torch.finfo(rho.dtype).max) - 1
    growth = -torch.expm1(-2 * rho) / 2 * torch.exp(rho.clamp_max(largest)) / rho
    return torch.where(moved, growth, 1)


def _stretched(v: Tensor, a: Tensor, factor: Tensor, dim: int) -> Tensor:
    """Scale the component across ``v``."""
    direction = unit(v, dim)
    forward = direction * (direction * a).sum(dim, keepdim=True)
    return forward + factor * (at_least_float32(a) - forward)
