"""Rotation of frozen weights as in HyRo, which keeps the radius of every row."""

import torch
from torch import Tensor, nn

from hyperbolic_seg.layers.adapters.base import Adapter, add_block_products, check_blocks


class BlockRotation(Adapter):
    r"""Rotates the rows of a weight by a block-diagonal orthogonal matrix: angles change, radii do not.

    HyRo (CVPR 2026, arXiv 2605.08874) tunes the angle and keeps the radius, where HyperCLIP tunes both. A rotation
    commutes with the exponential map, so here too :math:`W' = W Q^\top` for every curvature. Every block is the Cayley
    transform :math:`Q = (I - A)^{-1}(I + A)` of a skew-symmetric ``A``, whose entries below the diagonal are the
    parameters. They start at zero, so an untrained rotation returns the weight exactly, and weight decay pulls
    towards it. ``Q`` has the determinant 1 and no eigenvalue -1: no reflections, and all angles below 180 degrees.

    Args:
        in_features: D, the length of a row.
        block_size: B, the size of a diagonal block, a divisor of D, at least 2. A block has B (B - 1) / 2 parameters.
        parts: P, the number of equal parts of the rows, each with its own ``Q``.

    Raises:
        ValueError: ``block_size`` is 1 or does not divide ``in_features``, or ``parts`` is not positive.
    """

    def __init__(self, in_features: int, block_size: int = 128, *, parts: int = 1) -> None:
        super().__init__(in_features, parts=parts)
        check_blocks(in_features, block_size, smallest=2)
        self.block_size = block_size
        self.skew = nn.Parameter(torch.empty(parts, in_features // block_size, block_size * (block_size - 1) // 2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return to the start, at which the weight stays as it is."""
        nn.init.zeros_(self.skew)

    def change(self, rows: Tensor) -> Tensor:
        """Return rotated rows, (P, R / P, D)."""
        size, values = self.block_size, self.skew.to(rows.dtype)
        below, above = torch.tril_indices(size, size, -1, device=values.device)
        half = values.new_zeros(*values.shape[:2], size**2).index_copy(-1, below * size + above, values)
        half = half.unflatten(-1, (size, size))
        skew = half - half.mT
        # Q - I = 2 (I - A)^-1 A is exactly zero for A = 0; I - A is always regular.
        turn = torch.linalg.solve(torch.eye(size, dtype=values.dtype, device=values.device) - skew, 2 * skew)
        return add_block_products(rows, turn)

    def extra_repr(self) -> str:
        """Return the sizes for ``repr``."""
        return f'in_features={self.in_features}, block_size={self.block_size}, parts={self.parts}'
