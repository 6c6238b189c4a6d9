"""A factor on features that the first batch of a training sets."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hyperbolic_seg.geometry.numeric import compiling, transformed

__all__ = ['MeasuredScale']


class MeasuredScale(nn.Module):
    """Base of modules that multiply features by a factor, measured on the first batch of a training.

    The factor is a buffer and not part of a weight: a forward pass under FSDP sees copies of weights.
    """

    feature_scale: Tensor | None
    """The factor; 0 until it is measured, ``None`` if it is not."""

    def register_scale(self, measured: bool) -> None:
        """Add the factor."""
        self.register_buffer('feature_scale', torch.zeros(()) if measured else None)
        self._to_measure = measured

    def reset_scale(self) -> None:
        """Forget the factor; the next batch of a training is measured."""
        if self.feature_scale is not None:
            self.feature_scale.zero_()
            self._to_measure = True

    @torch.no_grad()
    def measure_once(self, measure: Callable[[], Tensor]) -> None:
        """Set the factor in training, unless it is set.

        Args:
            measure: Returns the factor for the features of all processes, or 0 if they have none.

        Raises:
            RuntimeError: A transform of ``torch.func`` is at work, in which nothing can be measured.
        """
        if self.feature_scale is None or not (self._to_measure and self.training):
            return
        if transformed():
            raise RuntimeError(
                'the first batch of a training is measured, which a transform of torch.func cannot do: pass a batch '
                'through the module before, or use its evaluation mode'
            )
        # Copies of a module, as DataParallel makes them, share the factor and not the attribute.
        if compiling() or not bool(self.feature_scale > 0):
            self.feature_scale.copy_(measure())
        self._to_measure = not compiling() and not bool(self.feature_scale > 0)

    def scale(self) -> Tensor | None:
        """Return the factor, 1 until it is measured; ``None`` if it is not."""
        return None if self.feature_scale is None else torch.where(self.feature_scale > 0, self.feature_scale, 1)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        if (factor := state_dict.get(f'{prefix}feature_scale')) is not None:
            self._to_measure = not bool(factor > 0)
