"""The same quantities for tangent vectors: ``dim`` names the dimension that holds a vector.

``dim=-1`` fits ``(N, D)``, ``dim=1`` fits feature maps ``(N, D, H, W)``.
"""

import torch
from torch import Tensor

from hyperbolic_seg.geometry.polar import (
    Scalar,
    at_least_float32,
    polar_distance,
    polar_mlr_logits,
    safe_sqrt,
)


def safe_norm(v: Tensor, dim: int = -1, *, keepdim: bool = False) -> Tensor:
    """Euclidean length along ``dim`` in at least float32, finite for any finite input.

    Args:
        v: Tangent vectors, shape (..., D, ...).
        dim: The dimension of the vectors.
        keepdim: Keep ``dim`` with size 1.

    Returns:
        The lengths; the gradient at the zero vector is zero.
    """
    v = at_least_float32(v)
    # The largest component is taken out, so that no square overflows; it carries no gradient.
    scale = v.detach().abs().amax(dim, keepdim=True).clamp_min(torch.finfo(v.dtype).tiny)
    norm = safe_sqrt((v / scale).square().sum(dim, keepdim=True)) * scale
    return norm if keepdim else norm.squeeze(dim)


def radius(v: Tensor, dim: int = -1) -> Tensor:
    """Hyperbolic distance of ``exp_0(v)`` to the origin: ``2 |v|``, whatever the curvature.

    Args:
        v: Tangent vectors, shape (..., D, ...).
        dim: The dimension of the vectors.

    Returns:
        The radius with ``dim`` removed.
    """
    return 2 * safe_norm(v, dim)


def cosine_similarity(v: Tensor, w: Tensor, dim: int = -1) -> Tensor:
    """Cosine between every vector of ``v`` and every row of ``w``, by one matrix product.

    Args:
        v: Tangent vectors, shape (..., D, ...) with D at ``dim``.
        w: Prototypes, shape (K, D).
        dim: The dimension of the vectors in ``v``.

    Returns:
        The cosines with K in the place of D; 0 where either vector is 0.
    """
    v, w = at_least_float32(v), at_least_float32(w)
    tiny = torch.finfo(v.dtype).tiny
    unit_w = w / safe_norm(w, keepdim=True).clamp_min(tiny)
    unit_v = v / safe_norm(v, dim, keepdim=True).clamp_min(tiny)
    with torch.autocast(v.device.type, enabled=False):
        cosine = torch.matmul(unit_v.movedim(dim, -1), unit_w.t())
    return cosine.movedim(-1, dim)


def _along(x: Tensor, like: Tensor, dim: int) -> Tensor:
    """View a (K,) tensor so that it broadcasts along ``dim`` of ``like``."""
    shape = [1] * like.ndim
    shape[dim] = -1
    return x.reshape(shape)


def pairwise_distance(v: Tensor, w: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    """Hyperbolic distance between every vector of ``v`` and every row of ``w``.

    Args:
        v: Tangent vectors, shape (..., D, ...) with D at ``dim``, for example (N, D, H, W).
        w: Prototypes in tangent coordinates, shape (K, D).
        c: Curvature magnitude, positive.
        dim: The dimension of the vectors in ``v``.

    Returns:
        Distances with K in the place of D, for example (N, K, H, W). See :func:`polar_distance`.
    """
    cosine = cosine_similarity(v, w, dim)
    norm_w = _along(safe_norm(w), cosine, dim)
    return polar_distance(safe_norm(v, dim, keepdim=True), norm_w, cosine, c=c)


def mlr_logits(v: Tensor, z: Tensor, r: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    """Logits of hyperbolic multinomial logistic regression.

    Args:
        v: Tangent vectors, shape (..., D, ...) with D at ``dim``, for example (N, D, H, W).
        z: Normals of the K hyperplanes in tangent coordinates, shape (K, D).
        r: Their offsets from the origin, shape (K,).
        c: Curvature magnitude, positive.
        dim: The dimension of the vectors in ``v``.

    Returns:
        Logits with K in the place of D, for example (N, K, H, W). See :func:`polar_mlr_logits`.
    """
    cosine = cosine_similarity(v, z, dim)
    norm_z, r = _along(safe_norm(z), cosine, dim), _along(r, cosine, dim)
    return polar_mlr_logits(safe_norm(v, dim, keepdim=True), cosine, norm_z, r, c=c)
