"""Lengths, distances and logits of tangent vectors.

``dim`` is the dimension of the vectors: ``dim=-1`` for ``(N, D)``, ``dim=1`` for feature maps ``(N, D, H, W)``.
"""

import torch
from torch import Tensor

from hyperbolic_seg.geometry.distances import angular_distance
from hyperbolic_seg.geometry.hyperplanes import polar_mlr_logits
from hyperbolic_seg.geometry.numeric import Scalar, at_least_float32, lift_zero, safe_sqrt, traced
from hyperbolic_seg.geometry.products import length_and_components


def safe_norm(v: Tensor, dim: int = -1, *, keepdim: bool = False) -> Tensor:
    """Return the Euclidean length along ``dim`` in at least float32, finite for any finite input.

    Args:
        v: Tangent vectors, shape (..., D, ...).
        dim: Dimension of the vectors.
        keepdim: Keep ``dim`` with size 1.

    Returns:
        Lengths; the gradient at the zero vector is zero.
    """
    v = at_least_float32(v)
    if not traced(v):
        squared = v.square().sum(dim, keepdim=True)
        seen = squared.detach()
        if seen.numel() and seen.min() > 1e-18 and seen.max() < 1e18:  # squares neither overflow nor underflow
            return squared.sqrt() if keepdim else squared.sqrt().squeeze(dim)
    # Dividing by the largest component keeps squares from overflowing; it carries no gradient.
    scale = lift_zero(v.detach().abs().amax(dim, keepdim=True))
    norm = safe_sqrt((v / scale).square().sum(dim, keepdim=True)) * scale
    return norm if keepdim else norm.squeeze(dim)


def unit(v: Tensor, dim: int = -1) -> Tensor:
    """Return unit vectors in at least float32; the zero vector stays zero and passes no gradient."""
    norm = safe_norm(v, dim, keepdim=True)
    return at_least_float32(v) / torch.where(norm > 0, norm, torch.finfo(norm.dtype).max)


def radius(v: Tensor, dim: int = -1) -> Tensor:
    """Return the hyperbolic distance of ``exp_0(v)`` to the origin: ``2 |v|``, whatever the curvature.

    Args:
        v: Tangent vectors, shape (..., D, ...).
        dim: Dimension of the vectors.

    Returns:
        Radii with ``dim`` removed.

    Example:
        >>> radius(torch.tensor([3.0, 4.0]))
        tensor(10.)
    """
    return 2 * safe_norm(v, dim)


def cosine_similarity(v: Tensor, w: Tensor, dim: int = -1) -> Tensor:
    """Return the cosine between every vector of ``v`` and every row of ``w``, from one matrix product.

    Args:
        v: Tangent vectors, shape (..., D, ...) with D at ``dim``.
        w: Prototypes, shape (K, D).
        dim: Dimension of the vectors in ``v``.

    Returns:
        Cosines with K in place of D; 0 where either vector is 0.
    """
    length, components = length_and_components(at_least_float32(v), unit(w), dim)
    return (components / lift_zero(length)).clamp(-1, 1)


def distance(v: Tensor, w: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    """Return the hyperbolic distance between vectors paired by broadcasting, exact even for nearly equal ones.

    Args:
        v: Tangent vectors, shape (..., D, ...).
        w: Tangent vectors, broadcastable to ``v``.
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors in both.

    Returns:
        Distances with ``dim`` removed.
    """
    # Unlike an inner product, 1 - cos = |u - u'|^2 / 2 does not cancel for nearly parallel directions.
    versine = (unit(v, dim) - unit(w, dim)).square().sum(dim) / 2
    return angular_distance(safe_norm(v, dim), versine, safe_norm(w, dim), c=c)


def mlr_logits(v: Tensor, z: Tensor, r: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    """Return the logits of hyperbolic multinomial logistic regression.

    Args:
        v: Tangent vectors, shape (..., D, ...) with D at ``dim``, for example (N, D, H, W).
        z: Normals of the K hyperplanes in tangent coordinates, shape (K, D).
        r: Offsets of the hyperplanes from the origin, shape (K,).
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors in ``v``.

    Returns:
        Logits with K in place of D, for example (N, K, H, W). See :func:`polar_mlr_logits`.
    """
    length, components = length_and_components(at_least_float32(v), unit(z), dim)
    norm_z, r = along(safe_norm(z), components, dim), along(r, components, dim)
    return polar_mlr_logits(length, components, norm_z, r, c=c)


def along(x: Tensor, like: Tensor, dim: int) -> Tensor:
    """View a (K,) tensor so that it broadcasts along ``dim`` of ``like``."""
    shape = [1] * like.ndim
    shape[dim] = -1
    return x.reshape(shape)
