r"""Closed forms in polar coordinates, where a point is a length and a direction.

A vector :math:`v` of the tangent space at the origin stands for the point :math:`\exp_0(v)` of the
space of curvature :math:`-c`. With :math:`\rho = 2\sqrt{c}\,|v|` and the cosine between two directions,
distances and hyperplane logits need no point on the ball, so nothing saturates at its rim: float32
holds a radius of 60 here, where a projected ball stops at about 6.
"""

import torch
from torch import Tensor

# Up to this exponent exp() and the asinh of its results are finite in float32.
_LARGEST_EXPONENT = 40.0

Scalar = float | Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Cast half precision to float32, in which the hyperbolic functions are evaluated."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def safe_sqrt(x: Tensor) -> Tensor:
    """Square root of a non-negative tensor whose gradient at 0 is 0 instead of infinite."""
    positive = x > 0
    return torch.where(positive, x, 1).sqrt().masked_fill(~positive, 0)


def curvature_tensor(c: Scalar, like: Tensor) -> Tensor:
    """Return ``c`` with the type and device of ``like``; raise ``ValueError`` if a float is not positive."""
    if not isinstance(c, Tensor) and not c > 0:
        raise ValueError(f'the curvature is -c with c > 0, got c = {c}')
    return torch.as_tensor(c, dtype=like.dtype, device=like.device)


def polar_distance(norm_v: Tensor, norm_w: Tensor, cosine: Tensor, *, c: Scalar) -> Tensor:
    r"""Hyperbolic distance between points given in polar coordinates.

    .. math::
        d = \tfrac{2}{\sqrt c}\operatorname{asinh}\sqrt q,\quad
        q = \sinh^2\tfrac{\rho_v - \rho_w}{2}
            + \sinh\rho_v \sinh\rho_w\,\tfrac{1 - \cos\theta}{2},\quad \rho = 2\sqrt c\,|\cdot|

    which is the hyperbolic law of cosines in the form that does not cancel near zero.

    Args:
        norm_v: Euclidean length of the first tangent vector, any shape.
        norm_w: Length of the second one, broadcastable to ``norm_v``.
        cosine: Cosine of the angle between them, broadcastable; rounding beyond [-1, 1] is clamped.
        c: Curvature magnitude, positive.

    Returns:
        The distance in units of the space (``2 |v|`` from the origin); half precision gives float32.
    """
    norm_v, norm_w, cosine = map(at_least_float32, (norm_v, norm_w, cosine))
    root_c = curvature_tensor(c, norm_v).sqrt()
    rho_v, rho_w = 2 * root_c * norm_v, 2 * root_c * norm_w
    half_versine = ((1 - cosine) / 2).clamp(0, 1)
    total, gap = rho_v + rho_w, (rho_v - rho_w).abs()

    # q = exp(total) * scaled: the growth is taken out, so that no product overflows.
    scaled = (
        torch.exp(gap - total) * torch.expm1(-gap) ** 2
        + torch.expm1(-2 * rho_v) * torch.expm1(-2 * rho_w) * half_versine
    ) / 4
    root = safe_sqrt(scaled)
    near = torch.asinh(root * torch.exp(total.clamp_max(2 * _LARGEST_EXPONENT) / 2))
    tiny = torch.finfo(total.dtype).tiny
    far = total / 2 + torch.log((root + safe_sqrt(scaled + torch.exp(-total))).clamp_min(tiny))
    half = torch.where(total <= 2 * _LARGEST_EXPONENT, near, far.clamp_min(0))
    return 2 / root_c * half


def polar_mlr_logits(norm_v: Tensor, cosine: Tensor, norm_z: Tensor, r: Tensor, *, c: Scalar) -> Tensor:
    r"""Logits of hyperbolic multinomial logistic regression in polar coordinates.

    .. math::
        \tfrac{2|z|}{\sqrt c}\operatorname{asinh}\bigl(\sinh\rho\,\cos\theta\,\cosh s
            - \cosh\rho\,\sinh s\bigr),\quad \rho = 2\sqrt c\,|v|,\quad s = 2\sqrt c\,r

    (Shimizu, Mukuta and Harada, "Hyperbolic Neural Networks++", ICLR 2021, eq. 6): the signed distance to
    the hyperplane with normal ``z`` at distance ``2 r`` from the origin, scaled by ``2 |z|``.

    Args:
        norm_v: Length of the tangent vector to classify, any shape.
        cosine: Cosine of the angle between it and the normal ``z``, broadcastable.
        norm_z: Length of the normal, broadcastable.
        r: Signed offset of the hyperplane along the normal, in tangent coordinates, broadcastable.
        c: Curvature magnitude, positive.

    Returns:
        The logits, broadcast shape; half precision gives float32.
    """
    norm_v, cosine, norm_z, r = map(at_least_float32, (norm_v, cosine, norm_z, r))
    root_c = curvature_tensor(c, norm_v).sqrt()
    rho, s = 2 * root_c * norm_v, 2 * root_c * r
    # sinh(rho) cos cosh(s) - cosh(rho) sinh(s) = exp(rho) m / 2
    decay = torch.exp(-2 * rho)
    m = -torch.expm1(-2 * rho) * cosine * torch.cosh(s) - (1 + decay) * torch.sinh(s)
    near = torch.asinh(m / 2 * torch.exp(rho.clamp_max(_LARGEST_EXPONENT)))
    magnitude = m.abs() / 2
    tiny = torch.finfo(rho.dtype).tiny
    far = rho + torch.log((magnitude + safe_sqrt(decay + magnitude**2)).clamp_min(tiny))
    signed = torch.where(rho <= _LARGEST_EXPONENT, near, torch.sign(m) * far.clamp_min(0))
    return 2 * norm_z / root_c * signed
