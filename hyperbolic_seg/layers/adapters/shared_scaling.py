"""Scaling of many frozen weights by matrices mixed from one shared bank, as in HyperCLIP++."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hyperbolic_seg.layers.adapters.base import Adapter, WeightShape, add_block_products, check_blocks


class ScalingBank(nn.Module):
    """Matrices that several weights share, (count, block_size, block_size), initially zero.

    Args:
        count: K, the number of matrices.
        block_size: B, their size.

    Raises:
        ValueError: A size is not positive.
    """

    def __init__(self, count: int = 8, block_size: int = 128) -> None:
        super().__init__()
        if count < 1 or block_size < 1:
            raise ValueError(f'count and block_size must be positive, got {count} and {block_size}')
        self.count, self.block_size = count, block_size
        self.blocks = nn.Parameter(torch.empty(count, block_size, block_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return to zero, at which weights stay as they are."""
        nn.init.zeros_(self.blocks)

    def extra_repr(self) -> str:
        """Return the sizes for ``repr``."""
        return f'count={self.count}, block_size={self.block_size}'


class SharedScaling(Adapter):
    r"""Scales the rows of a weight by block-diagonal matrices mixed from a bank that other weights share.

    HyperCLIP++ (2025, the journal extension of HyperCLIP) makes the scaling matrices of all layers of both towers, of
    queries, keys, values and output projections, from one shared tensor by small learned mixtures. No text of it was at
    hand; this is the plain reading, not a copy of its released code, which mixes in two linear steps, over blocks and
    over layers: diagonal block ``j`` of weight ``l`` is scaled by

    .. math:: S_{lj} = I + \sum_k a_{ljk} B_k

    with the matrices :math:`B_k` of a :class:`ScalingBank` and coefficients ``a`` of its own. The bank starts at zero
    and the coefficients at random with the variance 1 / K, so an untrained scaling returns the weight exactly and the
    gradient of the bank is not zero.

    The adapter refers to its bank without owning it: parameters and state dicts have the bank once, where it was
    registered. :func:`add_to_tower` registers it as ``adapter_bank`` of the tower. Weights of different lengths can
    share a bank, and so can two towers, with ``bank=vision.adapter_bank`` for the second one, or
    :func:`share_bank` afterwards.

    Args:
        in_features: D, the length of a row, a multiple of the size of the matrices.
        bank: The shared matrices.
        parts: P, the number of equal parts of the rows, each with its own coefficients.

    Raises:
        ValueError: The size of the matrices does not divide ``in_features``, or ``parts`` is not positive.
    """

    adapts_out_proj: ClassVar[bool] = True

    def __init__(self, in_features: int, bank: ScalingBank, *, parts: int = 1) -> None:
        super().__init__(in_features, parts=parts)
        check_blocks(in_features, bank.block_size)
        shape = parts, in_features // bank.block_size, bank.count
        self.coefficients = nn.Parameter(torch.empty(shape))
        self.set_bank(bank)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the coefficients again; the bank has a start of its own."""
        nn.init.normal_(self.coefficients, std=self.bank.count**-0.5)

    @classmethod
    def build(
        cls, shapes: Sequence[WeightShape], *, bank: ScalingBank | None = None, **options: Any
    ) -> tuple[list[Adapter], nn.Module | None]:
        """Return adapters on one bank, and the bank, or ``None`` if it was given and another module registers it.

        Args:
            shapes: Shapes of the weights.
            bank: A bank that another module registers; ``None`` makes one.
            options: Arguments of :class:`ScalingBank`, if none is given.

        Raises:
            TypeError: A bank and options of a bank are given.
        """
        if bank is not None and options:
            raise TypeError(f'{sorted(options)} are options of a new bank, but a bank is given: leave one of them out')
        used = bank if bank is not None else ScalingBank(**options)
        adapters: list[Adapter] = [cls(shape.in_features, used, parts=shape.parts) for shape in shapes]
        return adapters, None if bank is not None else used

    @property
    def bank(self) -> ScalingBank:
        """The shared matrices."""
        return self._bank[0]

    def set_bank(self, bank: ScalingBank) -> None:
        """Use another bank of the same sizes.

        Raises:
            ValueError: The sizes differ.
        """
        expected = self.coefficients.shape[2], self.in_features // self.coefficients.shape[1]
        if (bank.count, bank.block_size) != expected:
            raise ValueError(f'expected a bank of {expected[0]} matrices of size {expected[1]}, got {bank}')
        self._bank = (bank,)  # a tuple, or it would be a submodule of every weight

    def change(self, rows: Tensor) -> Tensor:
        """Return scaled rows, (P, R / P, D)."""
        coefficients, blocks = self.coefficients.to(rows.dtype), self.bank.blocks.to(rows.dtype)
        return add_block_products(rows, torch.einsum('pnk,kio->pnio', coefficients, blocks))

    def extra_repr(self) -> str:
        """Return the sizes for ``repr``."""
        return f'in_features={self.in_features}, bank=({self.bank.extra_repr()}), parts={self.parts}'


def share_bank(owner: nn.Module, other: nn.Module) -> None:
    """Let the :class:`SharedScaling` of a second tower use the bank of the first, which alone owns it from now on.

    Args:
        owner: Tower, or a module around it, with one bank.
        other: Another one with one bank of the same sizes, changed in place.

    Raises:
        ValueError: A module has no bank or several, or the sizes differ.
    """
    banks = [[one for one in module.modules() if isinstance(one, ScalingBank)] for module in (owner, other)]
    if any(len(found) != 1 for found in banks):
        raise ValueError(
            f'expected one ScalingBank in each, got {len(banks[0])} and {len(banks[1])}: add adapters of the type '
            'SharedScaling to both'
        )
    for module in other.modules():
        if isinstance(module, SharedScaling):
            module.set_bank(banks[0][0])
    for module in list(other.modules()):
        for name in [name for name, child in module.named_children() if child is banks[1][0]]:
            delattr(module, name)
