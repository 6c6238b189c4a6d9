"""Conversions between tangent vectors and points of the hyperboloid or the Poincare ball.

The layers use ``from_space``, ``to_space``, ``from_hyperplane_distances``, ``rectify`` and the ball. ``to_hyperboloid``
and ``from_hyperboloid`` are for the layers between points, an extension that no model of this package uses.
"""

import torch
from torch import Tensor

from hyperbolic_seg.geometry.numeric import (
    Scalar,
    at_least_float32,
    curvature_tensor,
    largest_exponent,
    may_exceed,
    positive_asinh,
    readable,
    sinh_cosh,
)
from hyperbolic_seg.geometry.tangent import safe_norm


def from_space(space: Tensor, exponent: Tensor | None, root_c: Tensor, dim: int) -> Tensor:
    """Return the tangent vectors of the points with the space-like part ``space * exp(exponent) / root_c``.

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
    r"""Return the point at given signed distances from the coordinate hyperplanes through the origin.

    It is the output of the fully connected layer of Shimizu, Mukuta and Harada (ICLR 2021, eq. 7), with logits
    as distances: its k-th coordinate on the hyperboloid is :math:`\sinh(\sqrt c\, a_k) / \sqrt c`. Where all
    distances are small, the result is ``a / 2``.

    Args:
        a: Signed distances, shape (..., D, ...), of any size.
        c: Curvature magnitude, positive.
        dim: Dimension of the coordinates.

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
    # The sign has no derivative at 0; there sinh(x) = x.
    space = torch.where(a == 0, scaled, space)
    return from_space(space, largest, root_c, dim)


def rectify(v: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    """Rectify the space-like part of points on the hyperboloid (Bdeir, Schwethelm and Landwehr, ICLR 2024).

    Rectifying the tangent coordinates themselves, the "Moebius version" of other libraries, is ``torch.relu``. Here
    vectors also get shorter, because the remaining coordinates on the hyperboloid do.

    Args:
        v: Tangent vectors, shape (..., D, ...).
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors.

    Returns:
        Tangent vectors, same shape, in at least float32.
    """
    v = at_least_float32(v)
    root_c = curvature_tensor(c, v).sqrt()
    norm = safe_norm(v, dim, keepdim=True)
    rho = 2 * root_c * norm
    return from_space(to_space(torch.relu(v), rho, norm, root_c), rho, root_c, dim)


def to_ball(v: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    r"""Map tangent vectors to their points on the Poincare ball, :math:`\exp_0(v)`.

    Args:
        v: Tangent vectors, shape (..., D, ...), float32 or float64.
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors.

    Returns:
        Points with ``sqrt(c) |x| < 1``, same shape.

    Raises:
        ValueError: A point is so close to the rim that its type loses more than half of the digits of the distance
            to it: ``sqrt(c) |v|`` beyond 4.3 in float32 and 9.3 in float64.

    Example:
        >>> to_ball(torch.tensor([0.5, 0.0]))
        tensor([0.4621, 0.0000])
    """
    norm = curvature_tensor(c, v).sqrt() * safe_norm(v, dim, keepdim=True)
    length = torch.tanh(norm)
    _check(length, v.dtype)
    return v * torch.where(norm > 0, length / norm.masked_fill(norm == 0, 1), 1)


def from_ball(x: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    r"""Map points of the Poincare ball to tangent vectors at the origin, :math:`\log_0(x)`.

    Args:
        x: Points with ``sqrt(c) |x| < 1``, shape (..., D, ...), float32 or float64.
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors.

    Returns:
        Tangent vectors, same shape.

    Raises:
        ValueError: A point is outside the ball or too close to its rim, as for :func:`to_ball`.

    Example:
        >>> from_ball(torch.tensor([0.0, 0.5])) * 2  # twice the length is the distance to the origin
        tensor([0.0000, 1.0986])
    """
    length = curvature_tensor(c, x).sqrt() * safe_norm(x, dim, keepdim=True)
    _check(length, x.dtype)
    return x * torch.where(length > 0, torch.atanh(length) / length.masked_fill(length == 0, 1), 1)


def to_hyperboloid(v: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    r"""Map tangent vectors to their points on the hyperboloid :math:`-t^2 + |s|^2 = -1/c`, t first.

    Args:
        v: Tangent vectors, shape (..., D, ...); half precision gives points of float32.
        c: Curvature magnitude, positive; geoopt's ``Lorentz(k)`` takes ``k = 1 / c``.
        dim: Dimension of the vectors.

    Returns:
        Points with D + 1 coordinates along ``dim``.

    Raises:
        ValueError: A point is so far out that its type loses more than half of the digits of the equation above:
            ``sqrt(c) |v|`` beyond 4.3 in float32 and 9.3 in float64, as on the ball.
    """
    v = at_least_float32(v)
    root_c = curvature_tensor(c, v).sqrt()
    rho = 2 * root_c * safe_norm(v, dim, keepdim=True)
    _check_time(torch.cosh(rho))
    moved = rho > 0
    space = 2 * v * torch.where(moved, torch.sinh(rho) / rho.masked_fill(~moved, 1), 1)
    return torch.cat([torch.cosh(rho) / root_c, space], dim)


def from_hyperboloid(x: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    """Map points of the hyperboloid to tangent vectors at the origin: the inverse of :func:`to_hyperboloid`.

    Args:
        x: Points, shape (..., D + 1, ...), the time-like coordinate first; half precision gives float32.
        c: Curvature magnitude, positive.
        dim: Dimension of the coordinates.

    Returns:
        Tangent vectors with D coordinates along ``dim``.

    Raises:
        ValueError: A point is too far out, as for :func:`to_hyperboloid`, or not on the hyperboloid.
    """
    x = at_least_float32(x)
    root_c = curvature_tensor(c, x).sqrt()
    time, space = x.narrow(dim, 0, 1) * root_c, x.narrow(dim, 1, x.shape[dim] - 1) * root_c
    sinh = safe_norm(space, dim, keepdim=True)
    _check_time(time)
    off = (time - (1 + sinh.square()).sqrt()).abs() / time.abs().clamp_min(1)
    if readable(off) and bool((off > 100 * torch.finfo(x.dtype).eps ** 0.5).any()):
        raise ValueError(
            f'a point lies off the hyperboloid of curvature -c, c = {float(root_c) ** 2:.6g}, by '
            f'{off.max().item():.3g} of its time-like coordinate: expected -t^2 + |s|^2 = -1/c, t first'
        )
    moved = sinh > 0
    return space / (2 * root_c) * torch.where(moved, torch.asinh(sinh) / sinh.masked_fill(~moved, 1), 1)


def _check_time(time: Tensor) -> None:
    limit = torch.finfo(time.dtype).eps ** -0.5 * 2
    if readable(time) and bool((time > limit).any()):
        raise ValueError(
            f'a point lies at {time.max().item():.6g} along the time-like axis of the hyperboloid, in units of '
            f'1/sqrt(c), and {time.dtype} holds points up to {limit:.6g}: stay in tangent coordinates, or convert to '
            'float64 first'
        )


def _check(length: Tensor, dtype: torch.dtype) -> None:
    limit = 1 - torch.finfo(dtype).eps ** 0.5
    if readable(length) and bool((length > limit).any()):
        raise ValueError(
            f'a point lies at {length.max().item():.9g} of the radius of the Poincare ball, and {dtype} holds points '
            f'up to {limit:.9g}: stay in tangent coordinates, or convert to float64 first'
        )
