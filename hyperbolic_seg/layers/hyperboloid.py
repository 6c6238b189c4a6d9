"""Layers between points of the hyperboloid, by conversion; an extension that no model of this package uses.

They are for networks that work with points, whose first coordinate is time-like. Each converts its points to tangent
vectors at the origin, in which the layers of this package work, and the result back. So they are the layers of Shimizu,
Mukuta and Harada (ICLR 2021) in another chart, not those of fully hyperbolic networks (Chen et al., ACL 2022; Bdeir,
Schwethelm and Landwehr, ICLR 2024), which have other parameters. Points of float32 reach a distance of 8.6 / sqrt(c)
from the origin (:func:`to_hyperboloid`), tangent vectors one of 60 / sqrt(c).
"""

from typing import Any

from torch import Tensor

from hyperbolic_seg.geometry import from_hyperboloid, to_hyperboloid
from hyperbolic_seg.layers.classifiers import HyperbolicMLR
from hyperbolic_seg.layers.conv import HyperbolicConv2d
from hyperbolic_seg.layers.linear import HyperbolicLinear


class HyperboloidLinear(HyperbolicLinear):
    """:class:`HyperbolicLinear` between points of the hyperboloid.

    Args:
        in_features: D, the dimension of the space; points have D + 1 coordinates, the time-like one first.
        out_features: Dimension of the space of the output.
        bias: Let the hyperplanes move away from the origin.
        **kwargs: As for :class:`HyperbolicLinear`.

    Raises:
        ValueError: In the forward pass: the points do not lie on the hyperboloid, or too far out for their type.

    Example:
        >>> import torch
        >>> points = to_hyperboloid(0.1 * torch.randn(2, 8), 0.5)
        >>> HyperboloidLinear(8, 4, c=0.5)(points).shape
        torch.Size([2, 5])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map points (..., in_features + 1) to points (..., out_features + 1)."""
        c = self.curvature()
        return to_hyperboloid(super().forward(from_hyperboloid(x, c)), c)


class HyperboloidConv2d(HyperbolicConv2d):
    """:class:`HyperbolicConv2d` between maps of points of the hyperboloid; padding adds points at the origin.

    Args:
        in_channels: D, the dimension of the space; points have D + 1 coordinates, the time-like one first.
        out_channels: Dimension of the space of the output.
        kernel_size: Size of the kernel.
        *args: As for :class:`HyperbolicConv2d`.
        **kwargs: As for :class:`HyperbolicConv2d`.

    Raises:
        ValueError: ``groups`` is not 1, as each group would be a space of its own, with points of its own.
            In the forward pass: as for :class:`HyperboloidLinear`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, int], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, *args, **kwargs)
        if self.groups != 1:
            raise ValueError(
                f'groups={self.groups}: each group is a space of its own, and a point lies in one; use groups=1'
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map points (N, in_channels + 1, H, W) to points (N, out_channels + 1, H', W')."""
        c = self.curvature()
        return to_hyperboloid(super().forward(from_hyperboloid(x, c, dim=1)), c, dim=1)


class HyperboloidMLR(HyperbolicMLR):
    """:class:`HyperbolicMLR` of points of the hyperboloid.

    Args:
        in_channels: D, the dimension of the space; points have D + 1 coordinates, the time-like one first.
        num_classes: K.
        c: Initial curvature magnitude, that of the space of the points.
        learned: Learn the curvature, within a factor of ten of its start.

    Raises:
        ValueError: In the forward pass: as for :class:`HyperboloidLinear`.
    """

    def __init__(self, in_channels: int, num_classes: int, *, c: float = 1.0, learned: bool = False) -> None:
        super().__init__(in_channels, num_classes, c=c, learned=learned)

    def forward(self, x: Tensor) -> Tensor:
        """Map points (N, D + 1) to (N, K) logits, or (N, D + 1, H, W) to (N, K, H, W)."""
        return super().forward(from_hyperboloid(x, self.curvature(), dim=1))
