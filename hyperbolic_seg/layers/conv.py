"""Convolution between hyperbolic spaces."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyperbolic_seg.geometry import from_hyperplane_distances, polar_mlr_logits, safe_norm, safe_sqrt, unit
from hyperbolic_seg.geometry.numeric import full_precision
from hyperbolic_seg.layers.curvature import Curvature


class HyperbolicConv2d(nn.Conv2d):
    r"""Hyperbolic convolution (Shimizu, Mukuta and Harada, ICLR 2021); replaces ``nn.Conv2d``.

    Beta-concatenation joins the vectors under the kernel. In tangent coordinates that is a concatenation times
    the constant :math:`B(n/2, 1/2) / B(D/2, 1/2)`, for n numbers of D-vectors. A hyperbolic fully connected layer
    follows. Each group of channels is a space of its own. The normals are scaled so that, as c approaches 0, the
    layer becomes the Euclidean convolution with the same weights.

    Args:
        in_channels: Channels of the input, tangent vectors (N, D, H, W).
        out_channels: Channels of the output.
        kernel_size: Size of the kernel.
        *args: Arguments of ``nn.Conv2d``: ``stride``, ``padding``, ``dilation``, ``groups``, ``bias``,
            ``padding_mode``.
        c: Initial curvature magnitude.
        learned: Learn the curvature, within a factor of ten of ``c``.
        **kwargs: The same arguments by name, and ``device`` and ``dtype``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *args: Any,
        c: float = 1.0,
        learned: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, *args, **kwargs)
        self.curvature = Curvature(c, learned=learned)
        depth = in_channels // self.groups
        self.beta = _beta(depth * self.weight[0, 0].numel()) / _beta(depth)

    def reset_parameters(self) -> None:
        """Initialize the weights as ``nn.Conv2d`` does, and the hyperplanes at the origin."""
        super().reset_parameters()
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, v: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H', W'), in float32 under autocast."""
        dtype = torch.promote_types(v.dtype, self.weight.dtype)
        computed = torch.promote_types(dtype, torch.float32)
        with full_precision(v.device):
            v, weight = v.to(computed), self.weight.to(computed)
            normals = unit(weight.flatten(1)).view_as(weight)
            components = self._slide(v, self.beta * normals, self.groups).unflatten(1, (self.groups, -1))
            norms = self.beta * self._patch_norms(v).unsqueeze(2)
            scales = safe_norm(weight.flatten(1)) / (2 * self.beta)
            offsets = torch.zeros_like(scales) if self.bias is None else -self.beta * self.bias.to(computed)
            shape = (self.groups, -1, 1, 1)
            c = self.curvature()
            logits = polar_mlr_logits(norms, components, scales.view(shape), offsets.view(shape), c=c)
            return from_hyperplane_distances(logits, c, dim=2).flatten(1, 2).to(dtype)

    def _patch_norms(self, v: Tensor) -> Tensor:
        """Return the lengths of the vectors under the kernel, (N, groups, H', W')."""
        squares = v.unflatten(1, (self.groups, -1)).square().sum(2)
        summed = self._slide(squares, v.new_ones(self.groups, 1, *self.kernel_size), self.groups)
        return safe_sqrt(summed.clamp(0.0, torch.finfo(v.dtype).max))

    def _slide(self, v: Tensor, weight: Tensor, groups: int) -> Tensor:
        """Convolve with the stride, padding and dilation of this layer."""
        padding: Any = self.padding
        if self.padding_mode != 'zeros':
            v, padding = F.pad(v, self._reversed_padding_repeated_twice, mode=self.padding_mode), 0
        return F.conv2d(v, weight, None, self.stride, padding, self.dilation, groups)


def _beta(size: int) -> float:
    """Return the beta function B(size / 2, 1 / 2)."""
    return math.exp(math.lgamma(size / 2) + math.lgamma(0.5) - math.lgamma((size + 1) / 2))
