"""Hyperbolic classifiers; they replace ``nn.Linear`` on (N, D), or a 1x1 ``nn.Conv2d`` on (N, D, H, W)."""

import math
from collections.abc import Callable
from functools import partial

import geoopt
import torch
from torch import Tensor, nn

from hyperbolic_seg.geometry import (
    exterior_angle,
    from_ball,
    mlr_logits,
    pairwise_exterior_angle,
    to_ball,
)
from hyperbolic_seg.geometry.numeric import at_least_float32, compiling
from hyperbolic_seg.geometry.pairwise import length_and_distances
from hyperbolic_seg.geometry.tangent import along, safe_norm, unit
from hyperbolic_seg.layers.curvature import Curvature
from hyperbolic_seg.layers.distributed import mean_over_processes
from hyperbolic_seg.layers.measured_scale import MeasuredScale
from hyperbolic_seg.layers.scalars import ScalarParameters
from hyperbolic_seg.options import check_number, check_whole

_MEAN_SQUARE = 0.5  # of a channel of standard deviation 1 after a ReLU
_START = 0.15  # root mean square of the logits of such features at the start
_START_WIDTH = 1.0  # of a cone: a half-aperture of 66 degrees, an apex at rho = 0.22 for k = 0.1


class _Classifier(MeasuredScale, ScalarParameters):
    """Base of the classifiers: one weight row per class, and the curvature of the space.

    A row has the units of a row of ``nn.Linear``: a step of an optimizer moves the logits about as far. So the
    learning rate of the layer that is replaced is right for it.
    """

    def __init__(self, in_channels: int, num_classes: int, *, c: float | None, learned: bool, calibrate: bool) -> None:
        super().__init__()
        check_whole('in_channels', in_channels)
        check_whole('num_classes', num_classes)
        self.in_channels, self.num_classes = in_channels, num_classes
        self.curvature = Curvature(1 / (2 * in_channels) if c is None else c, learned=learned)
        self.weight = nn.Parameter(torch.empty(num_classes, in_channels))
        self.register_scale(calibrate)

    @property
    def typical_length(self) -> float:
        """Root mean square length of features after a normalization and a ReLU."""
        return math.sqrt(_MEAN_SQUARE * self.in_channels)

    def reset_parameters(self) -> None:
        """Initialize the parameters; the next batch of a training is measured again."""
        with torch.no_grad():
            self.curvature.reset_parameters()
            self.reset_scale()
            self._reset_classes()

    def init_weights(self) -> None:
        """Initialize the parameters; MMEngine calls this name."""
        self.reset_parameters()

    def forward(self, v: Tensor) -> Tensor:
        """Map (N, D) to (N, K) logits, or (N, D, H, W) to (N, K, H, W)."""
        if v.ndim < 2 or v.shape[1] != self.in_channels:
            raise ValueError(
                f'expected {self.in_channels} channels in dimension 1, as (N, D) or (N, D, H, W), got {tuple(v.shape)}'
            )
        self.measure_once(partial(_factor, v))
        c, scale = self.curvature(), self.scale()
        if scale is None:
            return self._logits(v, c, 1.0)
        # A vector s v in the space of curvature -c is v in that of curvature -c s^2, whose lengths are 1 / s as large.
        return self._logits(v, c * scale.square(), scale)

    def _reset_classes(self) -> None:
        raise NotImplementedError

    def _logits(self, v: Tensor, c: Tensor, scale: Tensor | float) -> Tensor:
        """Return the logits of ``scale * v`` where the curvature is ``-c / scale ** 2``."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Return the sizes for ``repr``, as ``nn.Linear`` does."""
        return f'in_channels={self.in_channels}, num_classes={self.num_classes}'


def _factor(v: Tensor) -> Tensor:
    """Return the factor from the mean square of features, or 0 for an empty batch or one that overflowed."""
    square = mean_over_processes(at_least_float32(v).square())
    return torch.where(square.isfinite() & (square > 0), (_MEAN_SQUARE / square).sqrt(), 0)


class HyperbolicMLR(_Classifier):
    r"""Hyperbolic multinomial logistic regression (Shimizu, Mukuta and Harada, ICLR 2021).

    The normals of the published form are a quarter of ``weight``, so that for :math:`c \to 0` the logits are
    :math:`\langle v, w\rangle - r|w|`, those of ``nn.Linear``.

    Args:
        in_channels: D, the channels of the tangent vectors.
        num_classes: K.
        c: Initial curvature magnitude; by default 1 / (2 D), so that the mean square of
            :math:`\rho = 2\sqrt{c}\,|v|` is 1 for features after a normalization and a ReLU.
        learned: Learn the curvature, within a factor of ten of its start.
        calibrate: Measure the first batch of a training, and multiply features from then on by the factor that gives
            it the mean square of features after a normalization and a ReLU, 1/2.

    Example:
        >>> head = HyperbolicMLR(64, 19, learned=True)
        >>> head(torch.randn(2, 64, 32, 32)).shape
        torch.Size([2, 19, 32, 32])
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        c: float | None = None,
        learned: bool = False,
        calibrate: bool = False,
    ) -> None:
        super().__init__(in_channels, num_classes, c=c, learned=learned, calibrate=calibrate)
        self.offset = nn.Parameter(torch.empty(num_classes))
        self.reset_parameters()

    def _reset_classes(self) -> None:
        root_c, width = math.sqrt(self.curvature.start), math.sqrt(self.in_channels)
        # The logit of a unit row for features of the typical length at the typical angle, whose cosine is D^(-1/2)
        of_unit = math.asinh(math.sinh(min(2 * root_c * self.typical_length, 700)) / width) / (2 * root_c)
        nn.init.normal_(self.weight, std=_START / (of_unit * width))
        nn.init.zeros_(self.offset)

    def _logits(self, v: Tensor, c: Tensor, scale: Tensor | float) -> Tensor:
        logits = mlr_logits(v, self.weight / 4, self.offset / scale, c, dim=1)
        return logits if isinstance(scale, float) else scale * logits


class HyperbolicPrototypes(_Classifier):
    r"""Classification by the hyperbolic distance to one learned prototype per class.

    The logit of class k is :math:`s\,(d(v, 0) - d(v, p_k)) + b_k` with a learned scale and bias: positive where the
    vector is nearer to the prototype than to the origin. The softmax does not see the distance to the origin, which is
    the same for all classes; a sigmoid needs it, since minus a distance is never positive.

    Args:
        in_channels: D, the channels of the tangent vectors.
        num_classes: K.
        c: Initial curvature magnitude; by default as for :class:`HyperbolicMLR`.
        learned: Learn the curvature, within a factor of ten of its start.
        scale: Initial factor on the distances; by default half of the length of features after a normalization and a
            ReLU, :math:`\sqrt{D/8}`, so that near the origin the logits are those of ``nn.Linear``.
        on_ball: Keep the prototypes as points of geoopt's Poincare ball, which Riemannian optimizers move along
            geodesics. By default they are tangent vectors, for any optimizer and any radius.
        calibrate: As for :class:`HyperbolicMLR`.

    Raises:
        ValueError: ``on_ball`` is combined with a learned curvature.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        c: float | None = None,
        learned: bool = False,
        scale: float | None = None,
        on_ball: bool = False,
        calibrate: bool = False,
    ) -> None:
        if on_ball and learned:
            raise ValueError('points on a ball belong to one curvature: leave out learned=True or on_ball=True')
        super().__init__(in_channels, num_classes, c=c, learned=learned, calibrate=calibrate)
        if scale is not None:
            check_number('scale', scale, least=1e-6)
        self.start_scale = self.typical_length / 2 if scale is None else scale
        self.on_ball = on_ball
        self.log_scale = nn.Parameter(torch.empty(1))
        self.bias = nn.Parameter(torch.empty(num_classes))
        if on_ball:
            points, start = torch.zeros_like(self.weight), torch.tensor(self.curvature.start, device='cpu')
            del self.weight
            self.points = geoopt.ManifoldParameter(points, manifold=geoopt.PoincareBall(c=start))
        self.reset_parameters()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> 'HyperbolicPrototypes':
        """Keep the points on their manifold where torch makes a new parameter of them, as from the meta device."""
        before = self._parameters.get('points')
        super()._apply(fn, recurse)
        if isinstance(before, geoopt.ManifoldParameter) and not isinstance(self.points, geoopt.ManifoldParameter):
            kept = dict(manifold=before.manifold, requires_grad=before.requires_grad)
            self.points = geoopt.ManifoldParameter(self.points.data, **kept)
        return self

    def _prototypes(self) -> Tensor:
        """Return the prototypes as tangent vectors, (K, D).

        Raises:
            TypeError: The points are no manifold parameter any more, so an optimizer would move them off the ball.
        """
        if not self.on_ball:
            return self.weight
        points = self._parameters.get('points')  # none in a copy that DataParallel makes
        if isinstance(points, nn.Parameter) and not (compiling() or isinstance(points, geoopt.ManifoldParameter)):
            raise TypeError(
                f'the points on the ball are a {type(points).__name__} and not a geoopt.ManifoldParameter any more, as '
                'FSDP makes of parameters: leave out on_ball=True'
            )
        return from_ball(self.points, self.curvature())

    def _reset_classes(self) -> None:
        std = _START / (2 * self.start_scale)  # near the origin d(v, 0) - d(v, p) is 2 |p| cos
        if self.on_ball:
            self.points.copy_(to_ball(torch.randn_like(self.points) * std, self.curvature()))
        else:
            nn.init.normal_(self.weight, std=std)
        nn.init.constant_(self.log_scale, math.log(self.start_scale))
        nn.init.zeros_(self.bias)

    def _logits(self, v: Tensor, c: Tensor, scale: Tensor | float) -> Tensor:
        length, apart = length_and_distances(v, self._prototypes() / scale, c, 1)
        factor = self.log_scale.exp() * scale
        return torch.addcmul(along(self.bias, apart, 1), 2 * length - apart, factor)


class EntailmentCones(_Classifier):
    r"""Classification by the position of a vector relative to the entailment cone of every class.

    The logit is the half-aperture of the cone minus the exterior angle towards the vector (Ganea, Becigneul and
    Hofmann, ICML 2018), shifted so that it is 0 for a vector at a right angle to a cone of the start, times a factor of
    the class, plus a learned bias. A row of ``weight`` points along the axis of a cone, and its length is the factor,
    which grows in a training as the rows of ``nn.Linear`` do. The apex follows from a learned half-aperture, since the
    aperture as a function of the apex has an infinite slope where a cone becomes a half-space.

    Args:
        in_channels: D, the channels of the tangent vectors.
        num_classes: K.
        k: Size of the neighborhood of the origin in which a cone is a half-space.
        scale: Factor on the angles of a class whose row has length 1; by default twice the length of features after a
            normalization and a ReLU, :math:`\sqrt{2D}`. A row of ``nn.Linear`` has half of it at right angles.
        c: Initial curvature magnitude; by default as for :class:`HyperbolicMLR`.
        learned: Learn the curvature, within a factor of ten of its start.
        calibrate: As for :class:`HyperbolicMLR`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        k: float = 0.1,
        scale: float | None = None,
        c: float | None = None,
        learned: bool = False,
        calibrate: bool = False,
    ) -> None:
        if k <= 0 or (scale is not None and scale <= 0):
            raise ValueError(f'k and scale must be positive, got k={k} and scale={scale}')
        super().__init__(in_channels, num_classes, c=c, learned=learned, calibrate=calibrate)
        self.k = k
        self.angle_scale = 2 * self.typical_length if scale is None else scale
        c, half = self.curvature.start, math.pi / 2 / (1 + math.exp(-_START_WIDTH))
        start = math.asinh(2 * k / math.sin(half)) / (2 * math.sqrt(c))
        apex, across = torch.diag(torch.tensor([start, self.typical_length], device='cpu'))
        #: Added to the angles, so that a vector at a right angle to a cone has the logit 0 at the start.
        self.shift = exterior_angle(apex, across, c).item() - half
        self.width = nn.Parameter(torch.empty(num_classes))
        self.bias = nn.Parameter(torch.empty(num_classes))
        self.reset_parameters()

    def half_apertures(self) -> Tensor:
        """Return the half-apertures of the cones, (K,), between 0 and a right angle."""
        half_apertures: Tensor = math.pi / 2 * self.width.sigmoid()
        return half_apertures

    def apexes(self) -> Tensor:
        """Return the apexes of the cones, tangent vectors (K, D), whose half-apertures are :meth:`half_apertures`."""
        rho = torch.asinh(2 * self.k / self.half_apertures().sin())
        apexes: Tensor = unit(self.weight) * (rho / (2 * self.curvature().sqrt())).unsqueeze(1)
        return apexes

    def _reset_classes(self) -> None:
        nn.init.normal_(self.weight, std=_START / self.angle_scale)
        nn.init.constant_(self.width, _START_WIDTH)
        nn.init.zeros_(self.bias)

    def _logits(self, v: Tensor, c: Tensor, scale: Tensor | float) -> Tensor:
        angle = pairwise_exterior_angle(v, self.apexes() / scale, c, dim=1)
        factor = along(self.angle_scale * safe_norm(self.weight), angle, 1)
        return along(self.bias, angle, 1) + factor * (along(self.half_apertures() + self.shift, angle, 1) - angle)
