"""Radius scaling of frozen weights as in HyperCLIP."""

import math
from typing import TypeVar

import torch
from torch import Tensor, nn

from hyperbolic_seg.geometry import safe_norm
from hyperbolic_seg.layers.adapters.base import Adapter, add_block_products, check_blocks
from hyperbolic_seg.layers.adapters.placement import add_adapter, merge_adapter

# Distances that the released code keeps from the rim of the unit ball, of rows before and after scaling.
_RIM_BEFORE, _RIM_AFTER = 1e-5, 1e-3

ModuleT = TypeVar('ModuleT', bound=nn.Module)


class RadiusScaling(Adapter):
    r"""Scales the rows of a weight by a block-diagonal matrix in tangent coordinates.

    HyperCLIP (Peng et al., CVPR 2025) scales by :math:`W' = \log_0(S \otimes_c \exp_0(W))` with a block-diagonal
    matrix ``S``. Since :math:`S \otimes_c x = \exp_0(S \log_0 x)`, that is :math:`W' = W S^T` for every curvature.
    The parameter is ``S - I``, initially zero, so an untrained scaling returns the weight exactly, and weight decay
    pulls towards it.

    The released code computes on the ball and keeps points away from its rim. That limits the length of rows before
    scaling to :math:`\operatorname{artanh}(1 - 10^{-5}) / \sqrt{c}` and after it to
    :math:`\operatorname{artanh}(1 - 10^{-3}) / \sqrt{c}`, which is 3.8002 for ``c = 1`` and 38.002 for ``c = 0.01``,
    the only effect of its curvature. ``curvature`` applies the same limits.

    It is a parametrization of :mod:`torch.nn.utils.parametrize`; see :func:`add_radius_scaling`.

    Args:
        in_features: D, the length of a row.
        block_size: B, the size of a diagonal block, a divisor of D; 128 as published.
        parts: P, the number of equal parts of the rows, each with its own ``S``; 3 for a packed weight of queries,
            keys and values.
        curvature: c > 0 of the ball whose rim limits the rows, as released; ``None`` for no limit.

    Raises:
        ValueError: ``block_size`` does not divide ``in_features``, or ``parts`` or ``curvature`` is not positive.
    """

    def __init__(
        self, in_features: int, block_size: int = 128, *, parts: int = 1, curvature: float | None = None
    ) -> None:
        super().__init__(in_features, parts=parts)
        if curvature is not None and curvature <= 0:
            raise ValueError(f'curvature must be positive, got {curvature}; None limits no rows')
        check_blocks(in_features, block_size)
        self.block_size, self.curvature = block_size, curvature
        self.delta = nn.Parameter(torch.empty(parts, in_features // block_size, block_size, block_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return to the start, at which the weight stays as it is."""
        nn.init.zeros_(self.delta)

    def change(self, rows: Tensor) -> Tensor:
        """Return scaled rows, (P, R / P, D)."""
        return self._cut(add_block_products(self._cut(rows, _RIM_BEFORE), self.delta.to(rows.dtype)), _RIM_AFTER)

    def _cut(self, rows: Tensor, rim: float) -> Tensor:
        """Shorten rows that come closer to the rim of the unit ball than a distance."""
        if self.curvature is None:
            return rows
        longest = math.atanh(1 - rim) / math.sqrt(self.curvature)
        return rows * (longest / safe_norm(rows, keepdim=True).clamp_min(longest))

    def extra_repr(self) -> str:
        """Return the sizes for ``repr``."""
        sizes = f'in_features={self.in_features}, block_size={self.block_size}, parts={self.parts}'
        return sizes if self.curvature is None else f'{sizes}, curvature={self.curvature}'


def add_radius_scaling(module: ModuleT, block_size: int = 128, *, curvature: float | None = None) -> ModuleT:
    """Freeze the weights of a module and add a trainable :class:`RadiusScaling` to each.

    ``nn.MultiheadAttention`` has weights of queries, keys and values, packed or not; each gets its own matrix. Biases
    and the output projection do not change.

    A scaled weight is computed at every access, and attention accesses it several times per forward pass.
    :func:`torch.nn.utils.parametrize.cached` reduces that to one computation, :func:`merge_radius_scaling` to none.

    Args:
        module: ``nn.Linear`` or ``nn.MultiheadAttention``, changed in place.
        block_size: Size of a diagonal block of the scaling matrix.
        curvature: Curvature magnitude of the ball that limits the rows, see :class:`RadiusScaling`.

    Returns:
        The module.

    Raises:
        TypeError: The module has another type.
        ValueError: ``block_size`` does not divide the length of a row, or a weight is parametrized already. The module
            is unchanged.
    """
    add_adapter([module], RadiusScaling, block_size=block_size, curvature=curvature)
    return module


def merge_radius_scaling(module: ModuleT) -> ModuleT:
    """Merge the scaling of a module into plain weights of the original names, which cost nothing extra.

    Merged weights are new, frozen parameters; weights tied to the original ones keep their values.

    Args:
        module: Module with scaled weights, changed in place.

    Returns:
        The module.

    Raises:
        TypeError: The module is neither ``nn.Linear`` nor ``nn.MultiheadAttention``.
        ValueError: No weight is scaled, or one has further parametrizations.
    """
    return merge_adapter(module, RadiusScaling)
