"""Batch normalization of hyperbolic features."""

import torch
from torch import Tensor, nn

from hyperbolic_seg.geometry import geodesic, midpoint, mobius_add
from hyperbolic_seg.layers.curvature import Curvature
from hyperbolic_seg.options import check_number, check_whole


class HyperbolicBatchNorm2d(nn.Module):
    """Batch normalization by midpoints; replaces ``nn.BatchNorm2d``.

    Features are translated so that their midpoint becomes the origin, scaled there, and translated by ``bias`` (van
    Spengler, Berkhout and Mettes, ICCV 2023). The paper scales a feature as one vector. Here every channel of the
    tangent vectors is scaled to the root mean square ``weight``, as in the Euclidean layer; that is a Moebius product
    with a diagonal matrix. As c approaches 0, the layer becomes the Euclidean one. Features have a length of about the
    root of D, so a curvature of 1 / (4 D) or less keeps ``2 sqrt(c) |v|`` near or below 1, where gradients do not grow
    with depth.

    Args:
        num_features: D, the channels of the tangent vectors.
        eps: Added to the variance, in squared units of the tangent space.
        momentum: Weight of a batch in the running statistics; ``None`` for a plain average.
        affine: Learn ``weight`` and ``bias``.
        track_running_stats: Keep running statistics and use them in evaluation.
        c: Fixed curvature magnitude, equal to that of the adjacent layers.
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        c: float = 1.0,
    ) -> None:
        super().__init__()
        check_whole('num_features', num_features)
        check_number('eps', eps, least=0)
        if momentum is not None:
            check_number('momentum', momentum, least=0, most=1)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.curvature = Curvature(c)
        self.weight = nn.Parameter(torch.empty(num_features)) if affine else None
        self.bias = nn.Parameter(torch.empty(num_features)) if affine else None
        tracked = track_running_stats
        self.register_buffer('running_mean', torch.empty(num_features) if tracked else None)
        self.register_buffer('running_var', torch.empty(num_features) if tracked else None)
        self.register_buffer('num_batches_tracked', torch.tensor(0) if tracked else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Return the running statistics to their start."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Return parameters and running statistics to their start, as ``nn.BatchNorm2d`` does."""
        self.reset_running_stats()
        if self.weight is not None and self.bias is not None:
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)

    def forward(self, v: Tensor) -> Tensor:
        """Normalize (N, D, H, W) or (N, D), in float32 under autocast."""
        if v.ndim < 2 or v.shape[1] != self.num_features:
            raise ValueError(
                f'expected {self.num_features} channels in dimension 1, as (N, D, H, W) or (N, D), got {tuple(v.shape)}'
            )
        own = next((x.dtype for x in (self.weight, self.running_mean) if x is not None), v.dtype)
        dtype, count = torch.promote_types(v.dtype, own), self._total(v.numel() // self.num_features)
        if self.training and count == 1:
            raise ValueError(f'expected more than 1 value per channel in training, got the shape {tuple(v.shape)}')
        return self._normalized(v.to(torch.promote_types(dtype, torch.float32)), count).to(dtype)

    def _normalized(self, v: Tensor, count: int) -> Tensor:
        c = self.curvature()
        column = (1, -1, *[1] * (v.ndim - 2))
        if self.training or self.running_mean is None or self.running_var is None:
            mean = self._mean(v, c)
            centered = mobius_add(-mean.view(column), v, c, dim=1)
            variance = self._variance(centered, count)
            self._track(mean, variance, count, c)
        else:
            centered = mobius_add(-self.running_mean.view(column), v, c, dim=1)
            variance = self.running_var.to(v.dtype)
        scale = torch.rsqrt(variance + self.eps)
        if self.weight is None or self.bias is None:
            return centered * scale.view(column)
        return mobius_add(self.bias.view(column), centered * (self.weight * scale).view(column), c, dim=1)

    def _total(self, count: int) -> int:
        """Return the number of vectors that the statistics of a batch are taken over."""
        return count

    def _mean(self, v: Tensor, c: Tensor) -> Tensor:
        """Return the midpoint of a batch, (D,)."""
        return midpoint(v, None, c, dim=1, over=(0, *range(2, v.ndim)))

    def _variance(self, centered: Tensor, count: int) -> Tensor:
        """Return the mean square of every channel, (D,)."""
        return centered.square().mean((0, *range(2, centered.ndim)))

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int, c: Tensor) -> None:
        counter = self.num_batches_tracked
        if not self.training or self.running_mean is None or self.running_var is None or counter is None:
            return
        counter.add_(1)
        if count == 0:  # nothing to learn from, as for nn.BatchNorm2d
            return
        share = 1 / counter if self.momentum is None else self.momentum
        self.running_mean.copy_(geodesic(self.running_mean, mean.to(self.running_mean), share, c))
        unbiased = variance.to(self.running_var) * (count / max(count - 1, 1))
        self.running_var.add_(share * (unbiased - self.running_var))

    def extra_repr(self) -> str:
        """Return the settings for ``repr``, as ``nn.BatchNorm2d`` does."""
        return (
            f'{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, '
            f'track_running_stats={self.track_running_stats}'
        )
