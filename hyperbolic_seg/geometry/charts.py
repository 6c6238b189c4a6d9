"""Charts: the points of the Poincare ball that tangent vectors stand for, for exchange with other libraries.

geoopt's own maps clamp silently near the rim; these are exact as far as the type can hold a point, and refuse
beyond.
"""

import torch
from torch import Tensor

from hyperbolic_seg.geometry.numeric import Scalar, curvature_tensor
from hyperbolic_seg.geometry.tangent import safe_norm


def to_ball(v: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    r"""Map tangent vectors to their points on the Poincare ball, :math:`\exp_0(v)`.

    Args:
        v: Tangent vectors, shape (..., D, ...), float32 or float64.
        c: Curvature magnitude, positive.
        dim: The dimension of the vectors.

    Returns:
        Points with ``sqrt(c) |x| < 1``, same shape.

    Raises:
        ValueError: A point lies so near the rim that its type keeps less than half of the digits of its
            distance to it: ``sqrt(c) |v|`` beyond 4.3 in float32 and 9.3 in float64.
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
        dim: The dimension of the vectors.

    Returns:
        Tangent vectors, same shape.

    Raises:
        ValueError: A point lies outside the ball or too near its rim, as for :func:`to_ball`.
    """
    length = curvature_tensor(c, x).sqrt() * safe_norm(x, dim, keepdim=True)
    _check(length, x.dtype)
    return x * torch.where(length > 0, torch.atanh(length) / length.masked_fill(length == 0, 1), 1)


def _check(length: Tensor, dtype: torch.dtype) -> None:
    limit = 1 - torch.finfo(dtype).eps ** 0.5
    if bool((length > limit).any()):
        raise ValueError(
            f'a point lies at {length.max().item():.9g} of the radius of the Poincare ball, and {dtype} holds points '
            f'up to {limit:.9g}: stay in tangent coordinates, or convert to float64 first'
        )
