"""Curvature of a space, fixed or learned."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from hyperbolic_seg.geometry.numeric import at_least_float32
from hyperbolic_seg.layers.scalars import ScalarParameters
from hyperbolic_seg.options import check_number

_SMALLEST, _LARGEST = 1e-30, 1e30  # float32 ranges from 1e-38 to 3e38


class Curvature(ScalarParameters):
    r"""Positive curvature magnitude c of a space of curvature -c, fixed or learned within bounds.

    A learned value is a sigmoid between the logarithms of its bounds. It reaches neither of them, and no clamp
    stops its gradient. Initially it equals ``value`` up to rounding.

    Args:
        value: Initial c, positive.
        learned: Make c a parameter.
        bounds: Open interval of a learned value, by default a factor of ten around ``value``.

    Raises:
        ValueError: ``value`` is not positive, or not strictly between the bounds.
    """

    value: Tensor

    def __init__(self, value: float = 1.0, *, learned: bool = False, bounds: tuple[float, float] | None = None) -> None:
        super().__init__()
        check_number('curvature', value, least=_SMALLEST, most=_LARGEST)
        low, high = bounds if bounds is not None else (0.1 * value, 10 * value)
        if not 0 < low < value < high:
            raise ValueError(
                f'a curvature of {value} within bounds {(low, high)}: expected 0 < lower bound < value < upper bound'
            )
        self.start, self.bounds = float(value), (low, high)
        self.learned = learned
        if learned:
            self.position = nn.Parameter(torch.empty(1))
        else:
            self.register_buffer('value', torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return to the start."""
        if self.learned:
            low, high = self.bounds
            share = math.log(self.start / low) / math.log(high / low)
            nn.init.constant_(self.position, math.log(share / (1 - share)))
        else:
            self.value.fill_(self.start)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> 'Curvature':
        """Keep at least float32 where a model is cast to half precision, in which most curvatures are no numbers."""
        kept = self.position.data if self.learned else self.value
        super()._apply(fn, recurse)
        now = self.position if self.learned else self.value
        if now.dtype != at_least_float32(now).dtype:
            kept = at_least_float32(kept).to(now.device)
            if self.learned:
                self.position.data = kept
            else:
                self.value = kept
        return self

    def forward(self) -> Tensor:
        """Return c, shape ()."""
        if not self.learned:
            return self.value
        low, high = self.bounds
        return low * torch.exp(torch.sigmoid(self.position[0]) * math.log(high / low))

    def extra_repr(self) -> str:
        """Return the settings for ``repr``."""
        return f'learned={self.learned}, bounds={self.bounds}'
