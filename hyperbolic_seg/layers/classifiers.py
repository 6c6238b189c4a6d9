"""Hyperbolic classifiers; they replace ``nn.Linear`` on (N, D), or a 1x1 ``nn.Conv2d`` on (N, D, H, W)."""

import math

import geoopt
import torch
from torch import Tensor, nn

from hyperbolic_seg.geometry import (
    from_ball,
    half_aperture,
    mlr_logits,
    pairwise_distance,
    pairwise_exterior_angle,
    to_ball,
)
from hyperbolic_seg.layers.curvature import Curvature
from hyperbolic_seg.options import check_whole


class _Classifier(nn.Module):
    """Base of the classifiers: one weight row per class, and the curvature of the space."""

    #: Typical initial length of a row.
    start_length = 1.0

    def __init__(self, in_channels: int, num_classes: int, *, c: float, learned: bool) -> None:
        super().__init__()
        check_whole('in_channels', in_channels)
        check_whole('num_classes', num_classes)
        self.in_channels, self.num_classes = in_channels, num_classes
        self.curvature = Curvature(c, learned=learned)
        self.weight = nn.Parameter(torch.empty(num_classes, in_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialize the weights."""
        nn.init.normal_(self.weight, std=self.start_length * self.in_channels**-0.5)

    def init_weights(self) -> None:
        """Initialize the weights; MMEngine calls this name."""
        self.reset_parameters()

    def _check(self, v: Tensor) -> None:
        if v.ndim < 2 or v.shape[1] != self.in_channels:
            raise ValueError(
                f'expected {self.in_channels} channels in dimension 1, as (N, D) or (N, D, H, W), got {tuple(v.shape)}'
            )

    def extra_repr(self) -> str:
        """Return the sizes for ``repr``, as ``nn.Linear`` does."""
        return f'in_channels={self.in_channels}, num_classes={self.num_classes}'


class HyperbolicMLR(_Classifier):
    """Hyperbolic multinomial logistic regression (Shimizu, Mukuta and Harada, ICLR 2021).

    Args:
        in_channels: D, the channels of the tangent vectors.
        num_classes: K.
        c: Initial curvature magnitude.
        learned: Learn the curvature, within a factor of ten of ``c``.

    Example:
        >>> head = HyperbolicMLR(64, 19, c=0.5, learned=True)
        >>> head(torch.randn(2, 64, 32, 32)).shape
        torch.Size([2, 19, 32, 32])
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
        c: Initial curvature magnitude.
        learned: Learn the curvature, within a factor of ten of ``c``.
        on_ball: Keep the prototypes as points of geoopt's Poincare ball, which Riemannian optimizers move along
            geodesics. By default they are tangent vectors, for any optimizer and any radius.

    Raises:
        ValueError: ``on_ball`` is combined with a learned curvature.
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, c: float = 1.0, learned: bool = False, on_ball: bool = False
    ) -> None:
        if on_ball and learned:
            raise ValueError('points on a ball belong to one curvature: leave out learned=True or on_ball=True')
        super().__init__(in_channels, num_classes, c=c, learned=learned)
        if on_ball:
            points = to_ball(self.weight.detach(), c)
            del self.weight
            self.points = geoopt.ManifoldParameter(points, manifold=geoopt.PoincareBall(c=c))

    def reset_parameters(self) -> None:
        """Initialize the prototypes."""
        if 'points' in self._parameters:
            std = self.start_length * self.in_channels**-0.5
            with torch.no_grad():
                self.points.copy_(to_ball(torch.randn_like(self.points) * std, self.curvature()))
        else:
            super().reset_parameters()

    def forward(self, v: Tensor) -> Tensor:
        """Map (N, D) to (N, K) logits, or (N, D, H, W) to (N, K, H, W)."""
        self._check(v)
        c = self.curvature()
        prototypes = from_ball(self.points, c) if 'points' in self._parameters else self.weight
        return -pairwise_distance(v, prototypes, c, dim=1)


class EntailmentCones(_Classifier):
    """Classification by the position of a vector relative to the entailment cone of every class.

    The logit is the half-aperture of the cone minus the exterior angle towards the vector (Ganea, Becigneul and
    Hofmann, ICML 2018), times a learned scale; it is positive inside the cone.

    Args:
        in_channels: D, the channels of the tangent vectors.
        num_classes: K.
        k: Size of the neighborhood of the origin in which a cone is a half-space.
        scale: Initial factor on the angles, which are at most pi.
        c: Initial curvature magnitude.
        learned: Learn the curvature, within a factor of ten of ``c``.
    """

    start_length = 0.3  # where a cone of k = 0.1 is neither a half-space nor very narrow

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        k: float = 0.1,
        scale: float = 5.0,
        c: float = 1.0,
        learned: bool = False,
    ) -> None:
        if k <= 0 or scale <= 0:
            raise ValueError(f'k and scale must be positive, got {k} and {scale}')
        super().__init__(in_channels, num_classes, c=c, learned=learned)
        self.k = k
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def forward(self, v: Tensor) -> Tensor:
        """Map (N, D) to (N, K) logits, or (N, D, H, W) to (N, K, H, W)."""
        self._check(v)
        c = self.curvature()
        angle = pairwise_exterior_angle(v, self.weight, c, dim=1)
        aperture = half_aperture(self.weight, c, self.k)
        return self.log_scale.exp() * (aperture.view(-1, *[1] * (v.ndim - 2)) - angle)
