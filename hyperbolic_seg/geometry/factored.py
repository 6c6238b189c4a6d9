r"""Hyperbolic distances of many pairs from one product of factors, for predictions without gradients.

The hyperbolic law of cosines is linear in factors of either vector, with :math:`\rho = 2\sqrt c\,|\cdot|`:

.. math::
    \cosh\sqrt c\,d - 1 = 2\sinh^2\tfrac{\rho_v}{2}\cosh^2\tfrac{\rho_w}{2}
        + 2\cosh^2\tfrac{\rho_v}{2}\sinh^2\tfrac{\rho_w}{2} - \sinh\rho_v\sinh\rho_w\cos\theta

so a matrix product has it for all pairs. In float32 it would cancel between near points. In float64 it keeps what
float32 can hold of a distance, and a product of few channels takes less time there than one function of every pair.
"""

import torch
from torch import Tensor

from hyperbolic_seg.geometry.numeric import lift_zero, sinh_cosh

LARGEST_RADIUS = 10.0
"""Radius, times the root of c, up to which the product is precise: 1e-8 of ``cosh - 1``."""


def row_factors(rows: Tensor, length: Tensor, c: Tensor) -> Tensor:
    """Return the factors of some vectors, (K, C + 2).

    Args:
        rows: (K, C), float64; ``rows @ columns`` are the components of other vectors along these, which are unit there.
        length: Their lengths, (K,), float64.
        c: Curvature magnitude, a scalar in float64.
    """
    sinh, cosh = (x[:, None] for x in sinh_cosh(c.sqrt() * length))
    return torch.cat([-2 * sinh * cosh * rows, cosh.square(), sinh.square()], 1)


def column_factors(columns: Tensor, length: Tensor, c: Tensor) -> Tensor:
    """Return the factors of the other vectors, (C + 2, P).

    Args:
        columns: (C, P), such as features from which a linear layer makes the vectors.
        length: Lengths of the vectors, (P,), float64.
        c: Curvature magnitude, a scalar in float64.
    """
    sinh, cosh = sinh_cosh(c.sqrt() * length)
    factors = length.new_empty(len(columns) + 2, len(length))
    torch.mul(columns, 2 * sinh * cosh / lift_zero(length), out=factors[:-2])
    torch.mul(2 * sinh, sinh, out=factors[-2])
    torch.mul(2 * cosh, cosh, out=factors[-1])
    return factors


def factored_distances(rows: Tensor, columns: Tensor, out: Tensor) -> Tensor:
    """Write the distances of all pairs, times the root of c, to ``out`` and return it.

    Args:
        rows: From :func:`row_factors`, (K, C + 2).
        columns: From :func:`column_factors`, (C + 2, P).
        out: Float32, (K, P).
    """
    rise = out.copy_(rows @ columns).clamp_min_(0)  # cosh - 1
    return rise.add_((rise + 2).mul_(rise).sqrt_()).log1p_()
