"""Logits of hyperbolic multinomial logistic regression in polar coordinates."""

from collections.abc import Sequence

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
    positive_asinh,
    sinh_cosh,
)


def polar_mlr_logits(norm_v: Tensor, component: Tensor, norm_z: Tensor, r: Tensor, *, c: Scalar) -> Tensor:
    r"""Logits of hyperbolic multinomial logistic regression in polar coordinates.

    .. math::
        \tfrac{2|z|}{\sqrt c}\operatorname{asinh}\bigl(\sinh\rho\,\cos\theta\,\cosh s
            - \cosh\rho\,\sinh s\bigr),\quad \rho = 2\sqrt c\,|v|,\quad s = 2\sqrt c\,r

    (Shimizu, Mukuta and Harada, "Hyperbolic Neural Networks++", ICLR 2021, eq. 6), the signed distance to the
    hyperplane with normal ``z`` at distance ``2 r`` from the origin, scaled by ``2 |z|``. Only the inputs are
    saved for the gradient.

    Args:
        norm_v: Euclidean length of the tangent vector to classify, any shape.
        component: Component of this vector along the normal, :math:`\langle v, z/|z| \rangle`, broadcastable.
        norm_z: Length of the normal, broadcastable.
        r: Signed offset of the hyperplane along the normal, in tangent coordinates, broadcastable.
        c: Curvature magnitude, positive.

    Returns:
        Logits, broadcast shape; half precision gives float32.
    """
    norm_v, component, norm_z, r = map(at_least_float32, (norm_v, component, norm_z, r))
    return apply(_MLRLogits, norm_v, component, norm_z, r, curvature_tensor(c, norm_v).sqrt())


def _cosine(norm_v: Tensor, component: Tensor) -> Tensor:
    return (component / lift_zero(norm_v)).clamp(-1, 1)


def _argument(rho: Tensor, cosine: Tensor, s: Tensor) -> Tensor:
    """Return the argument of the asinh, with both exponents clamped."""
    (sinh_rho, cosh_rho), (sinh_s, cosh_s) = sinh_cosh(cut_exponent(rho)), sinh_cosh(cut_exponent(s))
    return torch.addcmul(cosine * sinh_rho * cosh_s, cosh_rho, -sinh_s)


def _signed_distance(rho: Tensor, argument: Tensor, s: Tensor) -> Tensor:
    """Return the asinh; it adds the clamped part of an exponent, which is exact where the argument is large."""
    distance = positive_asinh(argument.abs())
    if may_exceed(rho) or may_exceed(s):
        distance = distance + (rho - cut_exponent(rho)) + (s - cut_exponent(s)).abs()
    return torch.sign(argument) * distance


def _in_place(rho: Tensor, s: Tensor, norm_v: Tensor, component: Tensor, factor: Tensor) -> Tensor:
    """Return the logits where no exponent is cut, in a few passes over two tensors."""
    (sinh_rho, cosh_rho), (sinh_s, cosh_s) = sinh_cosh(rho), sinh_cosh(s)
    argument = (component * (sinh_rho / lift_zero(norm_v)) * cosh_s).addcmul_(cosh_rho, -sinh_s)
    square = argument.square()
    # positive_asinh(|argument|)
    distance = argument.abs().addcdiv_(square, (square + 1).sqrt_().add_(1)).log1p_()
    return distance.copysign_(argument) * factor


class _MLRLogits(ClosedForm):
    kernel = 'logit'

    @staticmethod
    def evaluate(norm_v: Tensor, component: Tensor, norm_z: Tensor, r: Tensor, root_c: Tensor) -> Tensor:
        rho, s = 2 * root_c * norm_v, 2 * root_c * r
        if not (torch.is_grad_enabled() or may_exceed(rho) or may_exceed(s)):
            return _in_place(rho, s, norm_v, component, 2 * norm_z / root_c)
        argument = _argument(rho, _cosine(norm_v, component), s)
        return _signed_distance(rho, argument, s) * (2 * norm_z / root_c)

    @classmethod
    def differentiate(cls, gradient: Tensor, *inputs: Tensor, needed: Sequence[bool]) -> Gradients:
        norm_v, component, norm_z, r, root_c = inputs
        rho, s, cosine = 2 * root_c * norm_v, 2 * root_c * r, _cosine(norm_v, component)
        (sinh_rho, cosh_rho), (sinh_s, cosh_s) = sinh_cosh(cut_exponent(rho)), sinh_cosh(cut_exponent(s))
        argument = _argument(rho, cosine, s)
        steepness = gradient * (2 * norm_z / root_c) / (1 + argument.square()).sqrt()
        turned = steepness * cosine
        by_rho = (turned * cosh_s).sum_to_size(norm_v.shape) * cosh_rho
        by_rho = by_rho - (steepness * sinh_s).sum_to_size(norm_v.shape) * sinh_rho
        by_s = (turned * sinh_rho).sum_to_size(r.shape) * sinh_s - (steepness * cosh_rho).sum_to_size(r.shape) * cosh_s
        per_component = torch.where(norm_v > 0, sinh_rho / lift_zero(norm_v), 2 * root_c)
        by_component = steepness * per_component * cosh_s
        turning = (by_component * cosine).sum_to_size(norm_v.shape)
        by_norm_z = by_root_c = None
        if needed[2] or needed[4]:
            by_norm_z = (gradient * _signed_distance(rho, argument, s)).sum_to_size(norm_z.shape) * (2 / root_c)
            scaling = (by_norm_z * norm_z).sum() / root_c
            by_root_c = 2 * ((by_rho * norm_v).sum() + (by_s * r).sum()) - scaling
        return 2 * root_c * by_rho - turning, by_component, by_norm_z, 2 * root_c * by_s, by_root_c

    @classmethod
    def numbers(cls, *inputs: Tensor) -> Numbers | None:
        norm_v, _, norm_z, r, root_c = inputs
        rho, s = 2 * root_c * norm_v, 2 * root_c * r
        if may_exceed(rho) or may_exceed(s):
            return None
        (sinh_rho, cosh_rho), (sinh_s, cosh_s) = sinh_cosh(rho), sinh_cosh(s)
        per_length = torch.where(norm_v > 0, sinh_rho / lift_zero(norm_v), 2 * root_c)
        return (per_length, cosh_rho), (cosh_s, sinh_s, 2 * norm_z / root_c)

    @classmethod
    def from_sums(
        cls, by_pairs: Tensor, of_vectors: Sequence[Tensor], of_classes: Sequence[Tensor], *inputs: Tensor
    ) -> Gradients:
        norm_v, _, norm_z, r, root_c = inputs
        (sinh_rho, cosh_rho), (sinh_s, cosh_s) = (sinh_cosh(2 * root_c * x) for x in (norm_v, r))
        per_length = of_vectors[0] / lift_zero(norm_v)
        by_rho = per_length * cosh_rho - of_vectors[1] * sinh_rho
        by_s = of_classes[0] * sinh_s - of_classes[1] * cosh_s
        by_norm_z = of_classes[2] * (2 / root_c)
        by_root_c = 2 * ((by_rho * norm_v).sum() + (by_s * r).sum()) - (by_norm_z * norm_z).sum() / root_c
        turning = per_length * sinh_rho / lift_zero(norm_v)
        return 2 * root_c * by_rho - turning, by_pairs, by_norm_z, 2 * root_c * by_s, by_root_c
