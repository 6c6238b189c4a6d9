"""Entailment cones: a general concept lies near the origin, the concepts that it entails in a cone behind it.

Ganea, Becigneul and Hofmann, "Hyperbolic entailment cones for learning hierarchical embeddings", ICML 2018.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hyperbolic_seg.geometry.distances import law_of_cosines, numbers_of_vectors, sinh_distance, versine_of_component
from hyperbolic_seg.geometry.numeric import (
    ClosedForm,
    Gradients,
    Numbers,
    Scalar,
    apply,
    at_least_float32,
    curvature_tensor,
    cut_exponent,
    damped_sinh,
    largest_exponent,
    lift_zero,
    may_exceed,
    safe_sqrt,
    sinh_cosh,
)
from hyperbolic_seg.geometry.products import length_and_components
from hyperbolic_seg.geometry.tangent import along, safe_norm, unit


def half_aperture(w: Tensor, c: Scalar = 1.0, k: float = 0.1, dim: int = -1) -> Tensor:
    r"""Half of the opening angle of the entailment cone at every vector.

    .. math:: \arcsin\min\bigl(1, 2k / \sinh\rho\bigr),\quad \rho = 2\sqrt c\,|w|

    Args:
        w: Tangent vectors, shape (..., D, ...).
        c: Curvature magnitude, positive.
        k: Size of the neighborhood of the origin in which a cone is a half-space, positive; 0.1 as published.
        dim: Dimension of the vectors.

    Returns:
        Angles up to pi / 2 in radians, with ``dim`` removed.
    """
    norm = safe_norm(w, dim)
    rho = 2 * curvature_tensor(c, norm).sqrt() * norm
    narrow = rho > math.asinh(2 * k)
    # The masked value keeps the gradient finite where the cone is a half-space.
    rho = torch.where(narrow, rho, 1)
    ratio = 4 * k * torch.exp(-rho) / -torch.expm1(-2 * rho)
    return torch.where(narrow, torch.asin(ratio.clamp_max(1)), math.pi / 2)


def exterior_angle(w: Tensor, v: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    r"""Angle at ``w`` between the ray from the origin, continued beyond ``w``, and the geodesic to ``v``.

    .. math::
        \operatorname{atan2}\bigl(\sinh\rho_v \sin t,\;
            \sinh\rho_v \cos t \cosh\rho_w - \cosh\rho_v \sinh\rho_w\bigr)

    where t is the angle between the two vectors. It is MERU's angle without an arccosine. ``w`` entails ``v`` where
    the angle is at most the :func:`half_aperture` of ``w``.

    Args:
        w: General concepts, tangent vectors, shape (..., D, ...).
        v: Specific concepts, broadcastable to ``w``.
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors in both.

    Returns:
        Angles from 0 to pi in radians, with ``dim`` removed; 0 where the vectors are equal.
    """
    norm_w, norm_v = safe_norm(w, dim), safe_norm(v, dim)
    versine = (unit(v, dim) - unit(w, dim)).square().sum(dim) / 2
    root_c = curvature_tensor(c, norm_w).sqrt()
    return _angle(2 * root_c * norm_w, 2 * root_c * norm_v, versine)


def pairwise_exterior_angle(v: Tensor, w: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    """Exterior angle at every row of ``w`` towards every vector of ``v``, from one matrix product.

    Args:
        v: Specific concepts, tangent vectors, shape (..., D, ...) with D at ``dim``, for example (N, D, H, W).
        w: General concepts, shape (K, D).
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors in ``v``.

    Returns:
        Angles with K in place of D, for example (N, K, H, W). See :func:`exterior_angle`.
    """
    length, components = length_and_components(at_least_float32(v), unit(w), dim)
    norm_w = along(safe_norm(w), components, dim)
    return apply(_ExteriorAngle, length, components, norm_w, curvature_tensor(c, length).sqrt())


def _angle(rho_w: Tensor, rho_v: Tensor, versine: Tensor) -> Tensor:
    """Return the exterior angle; both terms are divided by factors that would overflow or cancel."""
    gap, least = rho_v - rho_w, 2 * torch.minimum(rho_v, rho_w)
    lift = least.clamp_max(2 * largest_exponent(gap.dtype))
    reach, decay = -torch.expm1(-2 * rho_v), torch.exp(-rho_w)
    # (exp(-2 rho_w) - exp(-2 rho_v)) exp(lift) must not underflow where both are long.
    difference = 2 * damped_sinh(gap) * torch.exp(lift - least)
    ahead = 2 * difference / (1 + decay.square()) - reach * versine * torch.exp(lift)
    aside = reach * safe_sqrt(versine * (2 - versine)) * 2 * torch.exp(lift - rho_w) / (1 + decay.square())
    # One scale for both, because the squares in the derivative of atan2 must not underflow. Equal points get angle 0.
    scale = torch.maximum(aside, ahead.abs()).detach()
    resolved = scale > torch.finfo(scale.dtype).tiny ** 0.5
    scale = torch.where(resolved, scale, 1)
    straight = torch.where(ahead < 0, -1.0, 1.0).to(ahead.dtype)
    return torch.atan2(aside / scale, torch.where(resolved, ahead / scale, straight))


class _ExteriorAngle(ClosedForm):
    kernel = 'angle'

    @staticmethod
    def evaluate(norm_v: Tensor, component: Tensor, norm_w: Tensor, root_c: Tensor) -> Tensor:
        versine = versine_of_component(norm_v, component)
        rho_v, rho_w = 2 * root_c * norm_v, 2 * root_c * norm_w
        if torch.is_grad_enabled() or may_exceed(rho_v) or may_exceed(rho_w):
            return _angle(rho_w, rho_v, versine)
        sinh_v, (_, cosh_w) = sinh_cosh(rho_v)[0], sinh_cosh(rho_w)
        aside = sinh_v * (versine * (2 - versine)).sqrt()
        return torch.atan2(aside, torch.addcmul(sinh_cosh(rho_v - rho_w)[0], -versine, sinh_v * cosh_w))

    @classmethod
    def differentiate(cls, gradient: Tensor, *inputs: Tensor, needed: Sequence[bool]) -> Gradients:
        norm_v, component, norm_w, root_c = inputs
        versine, eps = versine_of_component(norm_v, component), torch.finfo(norm_v.dtype).eps
        rho_v, rho_w = 2 * root_c * norm_v, 2 * root_c * norm_w
        cut_v, cut_w = cut_exponent(rho_v), cut_exponent(rho_w)
        (sinh_v, cosh_v), (sinh_w, _) = sinh_cosh(cut_v), sinh_cosh(cut_w)
        over_v, over_w = torch.exp(cut_v - rho_v), torch.exp(cut_w - rho_w)
        terms = law_of_cosines(rho_v, versine, rho_w)
        cosh_d = terms.y + (1 if terms.excess is None else torch.exp(-terms.excess))
        # Where the distance is below the resolution of the versine, the direction is noise.
        noise = (sinh_v * (eps * sinh_w)).clamp_min(torch.finfo(norm_v.dtype).tiny ** 0.25)
        steepness = gradient / torch.maximum(sinh_distance(terms), noise).square() * over_w
        sine = (versine * (2 - versine)).sqrt()
        turned = steepness * sine
        by_rho_w = (turned * sinh_v * cosh_d).sum_to_size(norm_w.shape)
        by_rho_v = -(turned * sinh_w).sum_to_size(norm_v.shape) * over_v.square()
        across = torch.where(sine > 0, terms.sinh_gap + versine * cosh_v * sinh_w, 0) / lift_zero(sine)
        by_component = -steepness * across * torch.where(norm_v > 0, sinh_v / lift_zero(norm_v), 2 * root_c)
        turning = (by_component * (1 - versine)).sum_to_size(norm_v.shape)
        by_root_c = 2 * ((by_rho_v * norm_v).sum() + (by_rho_w * norm_w).sum())
        return 2 * root_c * by_rho_v - turning, by_component, 2 * root_c * by_rho_w, by_root_c

    @classmethod
    def numbers(cls, *inputs: Tensor) -> Numbers | None:
        norm_v, _, norm_w, root_c = inputs
        if (of_vectors := numbers_of_vectors(norm_v, root_c)) is None or may_exceed(2 * root_c * norm_w):
            return None
        return (*of_vectors, norm_v), (2 * root_c * norm_w, *sinh_cosh(2 * root_c * norm_w))

    @classmethod
    def from_sums(
        cls, by_pairs: Tensor, of_vectors: Sequence[Tensor], of_classes: Sequence[Tensor], *inputs: Tensor
    ) -> Gradients:
        norm_v, _, norm_w, root_c = inputs
        by_rho_v, by_rho_w = -of_vectors[0], of_classes[0]
        by_root_c = 2 * ((by_rho_v * norm_v).sum() + (by_rho_w * norm_w).sum())
        return 2 * root_c * by_rho_v - of_vectors[1], by_pairs, 2 * root_c * by_rho_w, by_root_c
