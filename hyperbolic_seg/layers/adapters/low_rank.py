"""Low-rank changes of frozen weights (LoRA), the control that knows neither radius nor angle."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hyperbolic_seg.layers.adapters.base import Adapter, WeightShape


class LowRank(Adapter):
    r"""Adds a product of two thin matrices to a weight: :math:`W' = W + \frac{\alpha}{r} U V` (Hu et al., ICLR 2022).

    ``U``, here ``up``, starts at zero and ``V``, here ``down``, at random with the variance 1 / D, so an untrained
    adapter returns the weight exactly and the gradient of ``up`` is not zero.

    Args:
        in_features: D, the length of a row.
        out_features: R, the number of rows.
        rank: r, the rank of the change. A part has r (D + R / P) parameters.
        alpha: Factor of the change, together with 1 / r; ``None`` for r, that is no factor.
        parts: P, the number of equal parts of the rows, each with its own matrices.

    Raises:
        ValueError: ``rank`` or ``parts`` is not positive, or the rows do not divide into ``parts``.
    """

    def __init__(
        self, in_features: int, out_features: int, rank: int = 8, *, alpha: float | None = None, parts: int = 1
    ) -> None:
        super().__init__(in_features, parts=parts)
        if rank < 1:
            raise ValueError(f'rank must be positive, got {rank}')
        if out_features % parts:
            raise ValueError(f'{out_features} rows do not divide into {parts} parts')
        self.rank, self.alpha = rank, float(rank if alpha is None else alpha)
        self.down = nn.Parameter(torch.empty(parts, rank, in_features))
        self.up = nn.Parameter(torch.empty(parts, out_features // parts, rank))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return to the start, at which the weight stays as it is."""
        nn.init.normal_(self.down, std=self.in_features**-0.5)
        nn.init.zeros_(self.up)

    @classmethod
    def build(cls, shapes: Sequence[WeightShape], **options: Any) -> tuple[list[Adapter], nn.Module | None]:
        """Return an adapter for each weight."""
        return [cls(shape.in_features, shape.out_features, parts=shape.parts, **options) for shape in shapes], None

    def change(self, rows: Tensor) -> Tensor:
        """Return changed rows, (P, R / P, D)."""
        return rows + self.alpha / self.rank * (self.up.to(rows.dtype) @ self.down.to(rows.dtype))

    def extra_repr(self) -> str:
        """Return the sizes for ``repr``."""
        return f'in_features={self.in_features}, rank={self.rank}, alpha={self.alpha:g}, parts={self.parts}'
