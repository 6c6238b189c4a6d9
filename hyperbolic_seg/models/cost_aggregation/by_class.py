"""Computation of what treats each class by itself, on some classes at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class ByClass(nn.Module):
    """A module on maps of classes, (N, K, ...).

    Args:
        chunk: Number of classes that are computed at a time, which bounds the memory.
        with_cp: Recompute activations in the backward pass instead of keeping them.
    """

    def __init__(self, *, chunk: int, with_cp: bool) -> None:
        super().__init__()
        self.chunk, self.with_cp = chunk, with_cp

    def by_chunks(self, function: Callable[..., Tensor], *maps: Tensor, shared: Sequence[Tensor] = ()) -> Tensor:
        """Call a function that treats each class by itself, on some classes at a time.

        Args:
            function: What is called with some classes of the maps, then with what is shared.
            maps: One or more, (N, K, ...).
            shared: What all classes have in common.
        """
        parts = zip(*(each.split(self.chunk, 1) for each in maps), strict=True)
        return torch.cat([self.run(function, *part, *shared) for part in parts], 1)

    def run(self, function: Callable[..., Tensor], *inputs: Any) -> Tensor:
        """Call a function, and again in the backward pass instead of keeping its activations with ``with_cp``."""
        if self.with_cp and torch.is_grad_enabled():
            found: Tensor = checkpoint(function, *inputs, use_reentrant=False)
            return found
        return function(*inputs)
