r"""Hyperbolic distance in polar coordinates, length and direction.

A vector :math:`v` of the tangent space at the origin stands for the point :math:`\exp_0(v)` of the
space of curvature :math:`-c`. With :math:`\rho = 2\sqrt{c}\,|v|` and the angle between two directions, the
distance needs no point on the ball, and nothing saturates at its rim: float32 holds a radius of 60 here,
where a projected ball stops at about 6.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hyperbolic_seg.geometry.numeric import (
    ClosedForm,
    Gradients,
    Numbers,
    Scalar,
    apply,
    at_least_float32,
    curvature_tensor,
    cut_exponent,
    lift_zero,
    may_exceed,
    safe_sqrt,
    sinh_cosh,
)


def polar_distance(norm_v: Tensor, component: Tensor, norm_w: Tensor, *, c: Scalar) -> Tensor:
    r"""Hyperbolic distance between points given in polar coordinates.

    .. math::
        d = \tfrac{2}{\sqrt c}\operatorname{asinh}\sqrt q,\quad
        q = \sinh^2\tfrac{\rho_v - \rho_w}{2}
            + \sinh\rho_v \sinh\rho_w\,\tfrac{1 - \cos\theta}{2},\quad \rho = 2\sqrt c\,|\cdot|

    This form of the hyperbolic law of cosines does not cancel near zero. Only the inputs are saved for the
    gradient, which is 0 where two points are equal.

    Args:
        norm_v: Euclidean length of the first tangent vector, any shape.
        component: Component of the first vector along the second, :math:`\langle v, w/|w| \rangle`, broadcastable
            to ``norm_v``; values beyond the length, due to rounding, are clamped.
        norm_w: Length of the second vector, broadcastable.
        c: Curvature magnitude, positive.

    Returns:
        Distance in units of the space (``2 |v|`` from the origin); half precision gives float32.
    """
    norm_v, component, norm_w = map(at_least_float32, (norm_v, component, norm_w))
    return apply(_Distance, norm_v, component, norm_w, curvature_tensor(c, norm_v).sqrt())


def angular_distance(norm_v: Tensor, versine: Tensor, norm_w: Tensor, *, c: Scalar) -> Tensor:
    r"""Hyperbolic distance as :func:`polar_distance`, from the versine :math:`1 - \cos\theta` itself."""
    norm_v, versine, norm_w = map(at_least_float32, (norm_v, versine, norm_w))
    return apply(_AngularDistance, norm_v, versine, norm_w, curvature_tensor(c, norm_v).sqrt())


class CosineTerms(NamedTuple):
    """Terms of ``cosh(sqrt(c) d) = 1 + y exp(excess)``; no excess where no product of exponentials can overflow."""

    y: Tensor
    gap: Tensor  # rho_v - rho_w
    sinh_gap: Tensor  # its sinh, over exp(excess)
    excess: Tensor | None


def versine_of_component(norm_v: Tensor, component: Tensor) -> Tensor:
    """Return 1 - cos; it is 1 where the vector is 0."""
    norm_v = lift_zero(norm_v)
    return ((norm_v - component) / norm_v).clamp(0, 2)


def versine_of_shortfall(norm_v: Tensor, shortfall: Tensor) -> Tensor:
    """Return 1 - cos, from what a component lacks to the length; it is 1 where the vector is 0."""
    return torch.where(norm_v > 0, shortfall / lift_zero(norm_v), 1).clamp(0, 2)


def law_of_cosines(rho_v: Tensor, versine: Tensor, rho_w: Tensor) -> CosineTerms:
    """Return the terms of the hyperbolic law of cosines, without cancellation or overflow."""
    gap = rho_v - rho_w
    if may_exceed(rho_v) or may_exceed(rho_w):
        cut_v, cut_w = cut_exponent(rho_v), cut_exponent(rho_w)
        fallen = torch.expm1(-gap.abs())
        growth = torch.exp(cut_v + cut_w - 2 * torch.minimum(rho_v, rho_w)) / 2  # exp(|gap| - excess) / 2
        of_gap, sinh_gap = fallen.square() * growth, -torch.sign(gap) * fallen * (2 + fallen) * growth
        excess = (rho_v - cut_v) + (rho_w - cut_w)
    else:
        # cosh(gap) - 1 and sinh(gap), both exact near 0, from one exponential.
        grown = torch.expm1(gap.abs())
        falling = grown / (grown + 1)
        of_gap, sinh_gap, excess = grown * falling / 2, torch.sign(gap) * (grown + falling) / 2, None
        cut_v, cut_w = rho_v, rho_w
    if torch.is_grad_enabled():  # Second derivatives at equal radii, where those of the sign and the modulus are 0.
        equal, damping = gap == 0, torch.ones_like(gap) if excess is None else torch.exp(-excess)
        of_gap = torch.where(equal, gap.square() / 2 * damping, of_gap)
        sinh_gap = torch.where(equal, gap * damping, sinh_gap)
    return CosineTerms(torch.addcmul(of_gap, versine * sinh_cosh(cut_v)[0], sinh_cosh(cut_w)[0]), gap, sinh_gap, excess)


def sinh_distance(terms: CosineTerms) -> Tensor:
    """Return sinh(sqrt(c) d) over exp(excess)."""
    return safe_sqrt(terms.y * (terms.y + (2 if terms.excess is None else 2 * torch.exp(-terms.excess))))


def _scaled_distance(terms: CosineTerms) -> Tensor:
    """Return the distance times sqrt(c)."""
    grown = terms.y + sinh_distance(terms)
    near = torch.log1p(grown)
    if terms.excess is None:
        return near
    # exp(-excess) and y may both underflow; the distance is at least the difference of the radii.
    far = terms.excess + torch.log(lift_zero(torch.exp(-terms.excess) + grown))
    return torch.where(terms.excess > 0, torch.maximum(far, terms.gap.abs()), near)


class _Slopes(NamedTuple):
    """Derivatives of the distance, multiplied by the incoming gradient."""

    by_norm_v: Tensor  # at a constant angle
    by_angle: Tensor  # by the versine, over sinh(rho_v)
    by_norm_w: Tensor
    by_root_c: Tensor | None


def _slopes(
    gradient: Tensor,
    norm_v: Tensor,
    versine: Tensor,
    norm_w: Tensor,
    root_c: Tensor,
    *,
    resolution: float,
    with_curvature: bool,
) -> _Slopes:
    rho_v, rho_w = 2 * root_c * norm_v, 2 * root_c * norm_w
    terms = law_of_cosines(rho_v, versine, rho_w)
    (sinh_v, cosh_v), (sinh_w, cosh_w) = sinh_cosh(cut_exponent(rho_v)), sinh_cosh(cut_exponent(rho_w))
    steep = sinh_distance(terms).clamp_min(torch.finfo(rho_v.dtype).tiny ** 0.5)
    steepness = gradient / (root_c * steep)
    by_gap, by_versine = steepness * terms.sinh_gap, steepness * versine
    by_rho_v = (by_gap + by_versine * sinh_w * cosh_v).sum_to_size(norm_v.shape)
    by_rho_w = (by_versine * sinh_v).sum_to_size(norm_w.shape) * cosh_w - by_gap.sum_to_size(norm_w.shape)
    # Where the distance is below the resolution of the versine, the derivative by the angle is noise; between
    # parallel vectors it is 0.
    resolved = torch.maximum(steep, sinh_v * (resolution * sinh_w)) * root_c
    by_angle = gradient * torch.sign(versine) / resolved * sinh_w
    by_root_c = None
    if with_curvature:
        scaling = (gradient * _scaled_distance(terms)).sum() / root_c.square()
        by_root_c = 2 * ((by_rho_v * norm_v).sum() + (by_rho_w * norm_w).sum()) - scaling
    return _Slopes(2 * root_c * by_rho_v, by_angle, 2 * root_c * by_rho_w, by_root_c)


class _AngularDistance(ClosedForm):
    @staticmethod
    def evaluate(norm_v: Tensor, versine: Tensor, norm_w: Tensor, root_c: Tensor) -> Tensor:
        return _scaled_distance(law_of_cosines(2 * root_c * norm_v, versine, 2 * root_c * norm_w)) / root_c

    @classmethod
    def differentiate(cls, gradient: Tensor, *inputs: Tensor, needed: Sequence[bool]) -> Gradients:
        norm_v, _, _, root_c = inputs
        resolution = torch.finfo(norm_v.dtype).eps ** 2
        slopes = _slopes(gradient, *inputs, resolution=resolution, with_curvature=needed[3])
        by_versine = slopes.by_angle * sinh_cosh(cut_exponent(2 * root_c * norm_v))[0]
        return slopes.by_norm_v, by_versine, slopes.by_norm_w, slopes.by_root_c


class ShortfallDistance(ClosedForm):
    """Distance from the length, what the component lacks to it, |v| (1 - cos), the other length and the root of c.

    What a component lacks may be known better than the component.
    """

    kernel = 'distance'

    @staticmethod
    def evaluate(norm_v: Tensor, shortfall: Tensor, norm_w: Tensor, root_c: Tensor) -> Tensor:
        """Return the distance."""
        return _AngularDistance.evaluate(norm_v, versine_of_shortfall(norm_v, shortfall), norm_w, root_c)

    @classmethod
    def differentiate(cls, gradient: Tensor, *inputs: Tensor, needed: Sequence[bool]) -> Gradients:
        """Return the gradients."""
        norm_v, shortfall, norm_w, root_c = inputs
        versine, resolution = versine_of_shortfall(norm_v, shortfall), torch.finfo(norm_v.dtype).eps
        slopes = _slopes(gradient, norm_v, versine, norm_w, root_c, resolution=resolution, with_curvature=needed[3])
        sinh_v, _ = sinh_cosh(cut_exponent(2 * root_c * norm_v))
        # sinh(rho_v) / |v| has a limit at the origin, so a vector there is still drawn towards w.
        by_shortfall = slopes.by_angle * torch.where(norm_v > 0, sinh_v / lift_zero(norm_v), 2 * root_c)
        turning = (by_shortfall * versine).sum_to_size(norm_v.shape)
        return slopes.by_norm_v - turning, by_shortfall, slopes.by_norm_w, slopes.by_root_c

    @classmethod
    def numbers(cls, *inputs: Tensor) -> Numbers | None:
        """Return the numbers of the vectors and of the classes for the kernel, or None where an exponent is cut."""
        norm_v, _, norm_w, root_c = inputs
        if (of_vectors := numbers_of_vectors(norm_v, root_c)) is None or may_exceed(2 * root_c * norm_w):
            return None
        rho = 2 * root_c * norm_w
        return of_vectors, (rho, sinh_cosh(rho)[0], (1 / root_c).expand_as(rho))

    @classmethod
    def from_sums(
        cls, by_pairs: Tensor, of_vectors: Sequence[Tensor], of_classes: Sequence[Tensor], *inputs: Tensor
    ) -> Gradients:
        """Return the gradients by the inputs from those by pairs and the sums of the kernel."""
        norm_v, _, norm_w, root_c = inputs
        by_rho_v = of_vectors[0]
        by_rho_w = of_classes[1] * sinh_cosh(2 * root_c * norm_w)[1] - of_classes[0]
        scaling = of_classes[2].sum() / root_c
        by_root_c = 2 * ((by_rho_v * norm_v).sum() + (by_rho_w * norm_w).sum()) - scaling
        return 2 * root_c * by_rho_v - of_vectors[1], by_pairs, 2 * root_c * by_rho_w, by_root_c


def numbers_of_vectors(norm_v: Tensor, root_c: Tensor) -> tuple[Tensor, ...] | None:
    """Return numbers of vectors for the compiled kernel, or None where an exponent is cut."""
    rho = 2 * root_c * norm_v
    if may_exceed(rho):
        return None
    sinh, cosh = sinh_cosh(rho)
    divisor, nonzero = lift_zero(norm_v), norm_v > 0
    per_length = torch.where(nonzero, sinh / divisor, 2 * root_c)
    return nonzero / divisor, rho, sinh, cosh, per_length, (~nonzero).to(rho)


class _Distance(ClosedForm):
    @staticmethod
    def evaluate(norm_v: Tensor, component: Tensor, norm_w: Tensor, root_c: Tensor) -> Tensor:
        return ShortfallDistance.evaluate(norm_v, norm_v - component, norm_w, root_c)

    @classmethod
    def differentiate(cls, gradient: Tensor, *inputs: Tensor, needed: Sequence[bool]) -> Gradients:
        norm_v, component, norm_w, root_c = inputs
        found = ShortfallDistance.differentiate(gradient, norm_v, norm_v - component, norm_w, root_c, needed=needed)
        by_norm_v, by_shortfall, by_norm_w, by_root_c = found
        assert by_norm_v is not None and by_shortfall is not None
        return by_norm_v + by_shortfall.sum_to_size(norm_v.shape), -by_shortfall, by_norm_w, by_root_c
