"""The curvature of a space as a parameter."""

import math

import torch
from torch import Tensor, nn

from hyperbolic_seg.options import check_number

_SMALLEST, _LARGEST = 1e-30, 1e30  # single precision ends at 1e-38 and 3e38


class Curvature(nn.Module):
    r"""A positive curvature magnitude c of a space of curvature -c, fixed or learned within bounds.

    A learned value moves on a sigmoid between the logarithms of its bounds, so it can reach neither of
    them and its gradient never stops at a clamp. The value named is the value returned, to rounding.

    Args:
        value: c at the start, positive.
        learned: Make it a parameter.
        bounds: The open interval of a learned value. Defaults to a tenth to ten times ``value``.

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
        self.bounds = (low, high)
        self.learned = learned
        if learned:
            share = math.log(value / low) / math.log(high / low)
            self.position = nn.Parameter(torch.tensor(math.log(share / (1 - share))))
        else:
            self.register_buffer('value', torch.tensor(float(value)))

    def forward(self) -> Tensor:
        """Return c, shape ()."""
        if not self.learned:
            return self.value
        low, high = self.bounds
        return low * torch.exp(torch.sigmoid(self.position) * math.log(high / low))

    def extra_repr(self) -> str:
        """Say whether c is learned and where."""
        return f'learned={self.learned}, bounds={self.bounds}'
