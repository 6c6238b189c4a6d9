"""Hyperbolic classifiers: drop-in for ``nn.Linear`` on (N, D) and for a 1x1 ``nn.Conv2d`` on (N, D, H, W)."""

import torch
from torch import Tensor, nn

from hyperbolic_seg.geometry import mlr_logits, pairwise_distance
from hyperbolic_seg.layers.curvature import Curvature


class _Classifier(nn.Module):
    """What the classifiers share: one weight row per class and the curvature of the space."""

    def __init__(self, in_channels: int, num_classes: int, *, c: float, learned: bool) -> None:
        super().__init__()
        if in_channels < 1 or num_classes < 1:
            raise ValueError(f'in_channels and num_classes must be positive, got {in_channels} and {num_classes}')
        self.in_channels, self.num_classes = in_channels, num_classes
        self.curvature = Curvature(c, learned=learned)
        self.weight = nn.Parameter(torch.empty(num_classes, in_channels))
        nn.init.normal_(self.weight, std=in_channels**-0.5)

    def _check(self, v: Tensor) -> None:
        if v.ndim < 2 or v.shape[1] != self.in_channels:
            raise ValueError(
                f'expected {self.in_channels} channels in dimension 1, as (N, D) or (N, D, H, W), got {tuple(v.shape)}'
            )

    def extra_repr(self) -> str:
        """Name the sizes, as ``nn.Linear`` does."""
        return f'in_channels={self.in_channels}, num_classes={self.num_classes}'


class HyperbolicMLR(_Classifier):
    """Hyperbolic multinomial logistic regression (Shimizu, Mukuta and Harada, ICLR 2021).

    Args:
        in_channels: D, the channels of the tangent vectors.
        num_classes: K.
        c: Curvature magnitude at the start.
        learned: Learn the curvature, within a tenth and ten times ``c``.
    """

    def __init__(self, in_channels: int, num_classes: int, *, c: float = 1.0, learned: bool = False) -> None:
        super().__init__(in_channels, num_classes, c=c, learned=learned)
        self.offset = nn.Parameter(torch.zeros(num_classes))

    def forward(self, v: Tensor) -> Tensor:
        """Map (N, D) to (N, K) logits, or (N, D, H, W) to (N, K, H, W)."""
        self._check(v)
        return mlr_logits(v, self.weight, self.offset, self.curvature(), dim=1)


class HyperbolicPrototypes(_Classifier):
    """Classification by the negative hyperbolic distance to one learned prototype per class.

    Args:
        in_channels: D, the channels of the tangent vectors.
        num_classes: K.
        c: Curvature magnitude at the start.
        learned: Learn the curvature, within a tenth and ten times ``c``.
    """

    def __init__(self, in_channels: int, num_classes: int, *, c: float = 1.0, learned: bool = False) -> None:
        super().__init__(in_channels, num_classes, c=c, learned=learned)

    def forward(self, v: Tensor) -> Tensor:
        """Map (N, D) to (N, K) logits, or (N, D, H, W) to (N, K, H, W)."""
        self._check(v)
        return -pairwise_distance(v, self.weight, self.curvature(), dim=1)
