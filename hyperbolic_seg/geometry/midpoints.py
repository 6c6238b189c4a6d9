"""Weighted midpoints.

Batch normalization uses ``midpoint``. ``mixed_midpoints``, for attention, is an extension that no model of this package
uses.
"""

import torch
from torch import Tensor

from hyperbolic_seg.geometry.hyperboloid import from_hyperboloid, from_space, to_hyperboloid, to_space
from hyperbolic_seg.geometry.numeric import (
    Scalar,
    at_least_float32,
    curvature_tensor,
    full_precision,
    largest_exponent,
    may_exceed,
)
from hyperbolic_seg.geometry.tangent import safe_norm, unit


def midpoint(
    v: Tensor,
    weights: Tensor | None = None,
    c: Scalar = 1.0,
    dim: int = -1,
    over: int | tuple[int, ...] = -2,
    *,
    keepdim: bool = False,
) -> Tensor:
    r"""Return weighted midpoints: the centroid on the hyperboloid, which equals the gyromidpoint of the ball.

    It minimizes the weighted sum of :math:`\cosh(\sqrt c\, d) - 1` (Law et al., "Lorentzian distance learning
    for hyperbolic representations", ICML 2019); Shimizu et al. (ICLR 2021) show that all three definitions agree.
    Neither distant nor equal points lose digits.

    Args:
        v: Tangent vectors, shape (..., M, ..., D, ...).
        weights: Not negative and not all zero, broadcastable to the shape of ``v`` with ``dim`` of size 1;
            ``None`` for equal ones.
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors.
        over: Dimension or dimensions of the points to average.
        keepdim: Keep these dimensions with size 1.

    Returns:
        Midpoints in tangent coordinates, in at least float32, with ``over`` removed.
    """
    v = at_least_float32(v)
    places = tuple(d % v.ndim for d in (over if isinstance(over, tuple) else (over,)))
    if dim % v.ndim in places:
        raise ValueError(f'over={over} names the dimension of the vectors themselves, dim={dim}: expected others')
    root_c = curvature_tensor(c, v).sqrt()
    norm = safe_norm(v, dim, keepdim=True)
    weights = torch.ones_like(norm) if weights is None else weights.to(v.dtype).expand_as(norm)
    # The points move to the first dimension.
    to_front = tuple(range(len(places)))
    points, norm, weights = (x.movedim(places, to_front).flatten(0, len(places) - 1) for x in (v, norm, weights))
    axis = _axis_after(dim % v.ndim, places)
    result = _midpoint(points, norm, weights, root_c, axis).squeeze(0)
    if keepdim:
        for place in sorted(places):
            result = result.unsqueeze(place)
    return result


def hyperboloid_centroid(
    x: Tensor, weights: Tensor | None = None, c: Scalar = 1.0, dim: int = -1, over: int | tuple[int, ...] = -2
) -> Tensor:
    r"""Return weighted centroids of points of the hyperboloid, by conversion from :func:`midpoint`.

    It is :math:`\sum_i w_i x_i` over :math:`\sqrt c` times its Lorentzian length (Law et al., ICML 2019).

    Args:
        x: Points, shape (..., M, ..., D + 1, ...), the time-like coordinate first.
        weights: As for :func:`midpoint`.
        c: Curvature magnitude, positive.
        dim: Dimension of the coordinates.
        over: Dimension or dimensions of the points to average.

    Returns:
        Points, with ``over`` removed.

    Raises:
        ValueError: A point is too far out or not on the hyperboloid, as for :func:`from_hyperboloid`.
    """
    v = midpoint(from_hyperboloid(x, c, dim), weights, c, dim, over, keepdim=True)
    points = to_hyperboloid(v, c, dim)
    places = {place % x.ndim for place in (over if isinstance(over, tuple) else (over,))}
    return points.squeeze(tuple(places))


def mixed_midpoints(v: Tensor, weights: Tensor, c: Scalar = 1.0) -> Tensor:
    r"""Return one weighted midpoint of the same points for every row of weights, from a matrix product.

    With a matrix product the length is a difference, which keeps its digits up to about
    :math:`\rho = 2 \sqrt c\,|v| = 7` in float32. Beyond, a midpoint of neighboring points is noise, bounded by the
    farthest point and by :math:`\rho = 20`.

    Args:
        v: Tangent vectors, shape (..., S, D).
        weights: Not negative, with rows that sum to 1, shape (..., L, S).
        c: Curvature magnitude, positive.

    Returns:
        Midpoints in tangent coordinates, shape (..., L, D), in at least float32.
    """
    v = at_least_float32(v)
    weights = weights.to(v.dtype)
    root_c = curvature_tensor(c, v).sqrt()
    norm = safe_norm(v, keepdim=True)
    rho = 2 * root_c * norm
    largest = rho.detach().amax(-2, keepdim=True)
    growth = torch.exp(rho - largest)
    points = torch.cat([(1 + torch.exp(-2 * rho)) / 2, to_space(v, rho, norm, root_c)], -1) * growth
    with full_precision(v.device):
        time, space = torch.matmul(weights, points).split([1, v.shape[-1]], -1)
    furthest = largest.clamp_max(largest_exponent(v.dtype))
    least = torch.exp(-2 * furthest)
    quadratic = torch.maximum(time.square() - space.square().sum(-1, keepdim=True), least)
    return from_space(space / (quadratic / least).sqrt(), furthest, root_c, -1)


def _axis_after(dim: int, places: tuple[int, ...]) -> int:
    """Return the index of a dimension after those at ``places`` have become the first one."""
    return 1 + dim - sum(place < dim for place in places)


def _midpoint(v: Tensor, norm: Tensor, weights: Tensor, root_c: Tensor, dim: int) -> Tensor:
    """Return the midpoint over the first dimension, kept with size 1.

    If ``(t, s)`` is the mean of the points on the hyperboloid, the midpoint lies along s at
    ``sinh(rho) = |s| / sqrt(Q)`` with ``Q = t^2 - |s|^2``. With the direction e of the point of largest weight,
    ``Q = (t - <s, e>) (t + <s, e>) - |s - <s, e> e|^2``. In these sums distant and equal points do not cancel.
    """
    rho, most = 2 * root_c * norm, 2 * largest_exponent(v.dtype)
    if not may_exceed(rho, 2.0):
        space = (to_space(v, rho, norm, root_c) * torch.exp(rho) * weights).sum(0, keepdim=True)
        time = (torch.cosh(rho) * weights).sum(0, keepdim=True)
        return from_space(space / (time.square() - space.square().sum(dim, keepdim=True)).sqrt(), None, root_c, dim)
    log_weights = weights.detach().log()
    largest, first = (rho.detach() + log_weights).max(0, keepdim=True)
    # log sinh(rho) - largest
    reach = torch.log(-torch.expm1(-2 * rho.clamp_min(torch.finfo(v.dtype).tiny)) / 2) + rho - largest
    direction = unit(v, dim)
    pivot = direction.detach().gather(0, first.expand(1, *direction.shape[1:]))
    away = direction - pivot
    versine = away.square().sum(dim, keepdim=True) / 2
    turned = versine > 0
    log_versine = torch.where(turned, versine, 1).log()
    # t - <s, e>, over exp(least)
    of_turns = torch.where(turned, (reach + log_versine).detach() + log_weights, -torch.inf)
    least = torch.maximum(log_weights - rho.detach(), of_turns + largest).amax(0, keepdim=True)
    lift = largest - least

    def grown(exponent: Tensor) -> Tensor:
        return weights * torch.exp(exponent.clamp_max(most))

    # Where the versine is 0 its logarithm is not there; the product has the right derivatives.
    of_versine = torch.where(turned, grown(reach + log_versine + lift), grown(reach + lift) * versine)
    less = (grown(-rho - least) + of_versine).sum(0, keepdim=True)
    # t + <s, e>, over exp(largest)
    more = (grown(-rho - largest) + grown(reach) * (2 - versine)).sum(0, keepdim=True)
    aside = (grown(reach + lift / 2) * (away + versine * pivot)).sum(0, keepdim=True)
    known = less * more
    quadratic = torch.maximum(known - aside.square().sum(dim, keepdim=True), torch.finfo(v.dtype).eps * known)
    space = (to_space(v, rho, norm, root_c) * grown(rho - largest)).sum(0, keepdim=True)
    return from_space(space / quadratic.sqrt(), lift / 2, root_c, dim)
