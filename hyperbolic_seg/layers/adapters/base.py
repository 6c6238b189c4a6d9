"""Base class of adapters: parametrizations of a frozen weight that start as the identity."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from hyperbolic_seg.geometry.numeric import full_precision


class WeightShape(NamedTuple):
    """Shape (out_features, in_features) of a weight, and the number of equal parts of its rows, 3 where q, k, v lie."""

    out_features: int
    in_features: int
    parts: int


class Adapter(nn.Module):
    """Parametrization (:mod:`torch.nn.utils.parametrize`) of a frozen weight, with few parameters of its own.

    A subclass changes the rows in :meth:`change`. At the start that returns them exactly, and the gradient of some
    parameter is not zero.

    Args:
        in_features: D, the length of a row.
        parts: P, the number of equal parts of the rows, each with its own parameters; 3 for a packed weight of queries,
            keys and values.

    Raises:
        ValueError: ``parts`` is not positive.
    """

    adapts_out_proj: ClassVar[bool] = False
    """True if output projections are adapted too by default."""

    def __init__(self, in_features: int, *, parts: int = 1) -> None:
        super().__init__()
        if parts < 1:
            raise ValueError(f'parts must be positive, got {parts}')
        self.in_features, self.parts = in_features, parts

    @classmethod
    def build(cls, shapes: Sequence[WeightShape], **options: Any) -> tuple[list['Adapter'], nn.Module | None]:
        """Return an adapter for each weight, and the shared module, which the tower registers, or None."""
        return [cls(shape.in_features, parts=shape.parts, **options) for shape in shapes], None

    def change(self, rows: Tensor) -> Tensor:
        """Return changed rows of the same shape (P, R / P, D), in at least float32."""
        raise NotImplementedError

    def forward(self, weight: Tensor) -> Tensor:
        """Change a weight of shape (R, D), in at least float32, also under autocast.

        Returns:
            Weight of the same shape and type.

        Raises:
            ValueError: The weight has another shape, or its rows do not divide into ``parts``.
        """
        if weight.ndim != 2 or weight.shape[1] != self.in_features or weight.shape[0] % self.parts:
            raise ValueError(
                f'expected a weight of shape (R, {self.in_features}), R a multiple of {self.parts}, '
                f'got {tuple(weight.shape)}'
            )
        own = next(self.parameters(), weight).dtype  # none in a copy that DataParallel makes
        dtype = torch.promote_types(torch.promote_types(weight.dtype, own), torch.float32)
        with full_precision(weight.device):
            rows = weight.to(dtype).reshape(self.parts, -1, self.in_features)
            return self.change(rows).reshape(weight.shape).to(weight.dtype)


def check_blocks(in_features: int, block_size: int, smallest: int = 1) -> None:
    """Raise ``ValueError`` if a block size is too small or does not divide the length of the rows."""
    if block_size < smallest or in_features % block_size:
        least = '' if smallest == 1 else f' and be at least {smallest}'
        raise ValueError(
            f'block_size must divide the length of the rows{least}, got {block_size} for rows of {in_features}'
        )


def add_block_products(rows: Tensor, blocks: Tensor) -> Tensor:
    r"""Return :math:`W (I + M)^\top` for rows W, (P, R, D), and diagonal blocks of M, (P, D / B, B, B).

    Zero blocks return the rows exactly, which a product with the identity in reduced precision would not.
    """
    split = rows.unflatten(-1, blocks.shape[1:3])
    return rows + torch.einsum('prki,pkoi->prko', split, blocks).flatten(-2)
