"""Activation, pooling and residual connection of hyperbolic features: extensions that no model here uses."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyperbolic_seg.geometry import midpoint, rectify
from hyperbolic_seg.layers.curvature import Curvature


class HyperbolicReLU(nn.Module):
    """Rectifies coordinates on the hyperboloid (Bdeir, Schwethelm and Landwehr, ICLR 2024).

    The "Moebius version" of other libraries is ``nn.ReLU`` in tangent coordinates.

    Args:
        inplace: Accepted as in ``nn.ReLU``, but a new tensor is returned in any case.
        c: Fixed curvature magnitude.
        dim: Dimension of the vectors.
    """

    def __init__(self, inplace: bool = False, *, c: float = 1.0, dim: int = 1) -> None:
        super().__init__()
        self.inplace, self.dim = inplace, dim
        self.curvature = Curvature(c)

    def forward(self, v: Tensor) -> Tensor:
        """Rectify vectors of any shape."""
        return rectify(v, self.curvature(), self.dim).to(v.dtype)


class HyperbolicAvgPool2d(nn.Module):
    """Pools windows to midpoints; replaces ``nn.AvgPool2d`` with ``count_include_pad=False``.

    The "Moebius max pooling" of other libraries is ``nn.MaxPool2d`` in tangent coordinates.

    Args:
        kernel_size: Size of the window.
        stride: Step of the window; by default its size.
        padding: Margin around the input, which does not count.
        c: Fixed curvature magnitude.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        *,
        c: float = 1.0,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding = nn.modules.utils._pair(kernel_size), nn.modules.utils._pair(padding)
        self.stride = self.kernel_size if stride is None else nn.modules.utils._pair(stride)
        self.curvature = Curvature(c)

    def forward(self, v: Tensor) -> Tensor:
        """Pool (N, D, H, W) to (N, D, H', W')."""
        windows = self._windows(v)
        inside = self._windows(v.new_ones(1, 1, *v.shape[2:]))
        return midpoint(windows, inside, self.curvature(), dim=1, over=2).contiguous().to(v.dtype)

    def _windows(self, v: Tensor) -> Tensor:
        """Return (N, D, kh * kw, H', W')."""
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        return F.pad(v, (pw, pw, ph, ph)).unfold(2, kh, sh).unfold(3, kw, sw).flatten(4).movedim(4, 2)

    def extra_repr(self) -> str:
        """Return the settings for ``repr``, as ``nn.AvgPool2d`` does."""
        return f'kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}'


class HyperbolicResidual(nn.Module):
    """Combines two features into their weighted midpoint, in place of a sum.

    Args:
        c: Fixed curvature magnitude.
        share: Weight of the second feature, between 0 and 1.
        dim: Dimension of the vectors.
    """

    def __init__(self, *, c: float = 1.0, share: float = 0.5, dim: int = 1) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise ValueError(f'share is the weight of the second feature, from 0 to 1, got {share}')
        self.dim, self.share = dim, share
        self.curvature = Curvature(c)
        self.weights: Tensor
        self.register_buffer('weights', torch.empty(2), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weights of both features."""
        self.weights[0], self.weights[1] = 1 - self.share, self.share

    def forward(self, v: Tensor, w: Tensor) -> Tensor:
        """Return the midpoint of two features of equal shape."""
        pair = torch.stack([v, w])
        weights = self.weights.view(2, *[1] * v.ndim)
        dim = self.dim if self.dim < 0 else self.dim + 1
        return midpoint(pair, weights, self.curvature(), dim, over=0).to(v.dtype)
