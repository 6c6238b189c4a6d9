"""geoopt's Riemannian optimizers for MMEngine, without weight decay on manifold parameters."""

from collections.abc import Callable, Iterable
from itertools import compress
from typing import Any

import geoopt
import torch
from mmseg.registry import OPTIMIZERS
from torch import Tensor

__all__ = ['RiemannianAdam', 'RiemannianSGD']


def _on_manifold(entry: Any) -> bool:
    """Return whether a parameter, or the parameter of a (name, parameter) pair, lies on a manifold."""
    return isinstance(entry[1] if isinstance(entry, tuple) else entry, geoopt.ManifoldTensor)


class _ManifoldGroups:
    """Puts manifold parameters into parameter groups of their own, which weight decay leaves alone.

    Weight decay adds a multiple of the parameter to its Euclidean gradient. For a point on a manifold this is not the
    gradient of any useful penalty: on the ball it pulls towards an arbitrary origin.
    """

    decay_manifold = False

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, or two where it mixes manifold and Euclidean parameters.

        The second one has all options of the first (``lr``, ``initial_lr``, ``param_names``, ...) except
        ``weight_decay``, which is 0.

        Args:
            param_group: ``params`` and options, see :meth:`torch.optim.Optimizer.add_param_group`.
        """
        for group in [param_group] if self.decay_manifold else _split(param_group):
            super().add_param_group(group)  # type: ignore[misc]

    @torch.compiler.disable  # The compiler takes points for plain parameters, and would step off the manifold.
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take a step.

        Args:
            closure: Evaluates the model again and returns the loss.
        """
        loss: float | None = super().step(closure)  # type: ignore[misc]
        return loss


def _split(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Split a group into Euclidean parameters and manifold parameters without decay; leave out empty groups."""
    if isinstance(group['params'], set):  # torch refuses it because it has no order
        return [group]
    params = [group['params']] if isinstance(group['params'], Tensor) else list(group['params'])
    group = {**group, 'params': params}
    curved = [_on_manifold(entry) for entry in params]
    if not any(curved):
        return [group]
    manifold = {**_select(group, curved), 'weight_decay': 0.0}
    return [manifold] if all(curved) else [_select(group, [not is_curved for is_curved in curved]), manifold]


def _select(group: dict[str, Any], mask: list[bool]) -> dict[str, Any]:
    """Return a group with the parameters that the mask selects, their names and all options."""
    return group | {key: list(compress(group[key], mask)) for key in ('params', 'param_names') if key in group}


@OPTIMIZERS.register_module()
class RiemannianAdam(_ManifoldGroups, geoopt.optim.RiemannianAdam):
    """Adam for parameters on manifolds (Becigneul and Ganea, ICLR 2019) and for all others.

    Euclidean parameters take the step of :class:`torch.optim.Adam`; ``weight_decay`` is added to their gradient, not
    decoupled as in AdamW. Options of torch's Adam that geoopt takes and ignores (``fused``, ``foreach``,
    ``maximize``, ...) are not accepted.

    Args:
        params: Parameters, (name, parameter) pairs or groups of them.
        lr: Learning rate.
        betas: Decay rates of the running averages of the gradient and its square.
        eps: Added to the denominator.
        weight_decay: L2 penalty on Euclidean parameters.
        amsgrad: Use the largest average of squares so far.
        stabilize: Project manifold parameters back onto their manifold every so many steps.
        decay_manifold: Let ``weight_decay`` act on :class:`geoopt.ManifoldParameter` too.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        stabilize: int | None = None,
        decay_manifold: bool = False,
    ) -> None:
        self.decay_manifold = decay_manifold
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, stabilize=stabilize
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # torch makes the step a float32 tensor. geoopt computes the bias corrections from it; in Python's floats
        # before a resume and float32 after it, the resumed training would differ.
        for group in self.param_groups:
            for point in group['params']:
                if 'step' in self.state.get(point, {}):
                    self.state[point]['step'] = int(self.state[point]['step'])


@OPTIMIZERS.register_module()
class RiemannianSGD(_ManifoldGroups, geoopt.optim.RiemannianSGD):
    """Stochastic gradient descent for parameters on manifolds (Bonnabel 2013) and for all others.

    Args:
        params: Parameters, (name, parameter) pairs or groups of them.
        lr: Learning rate.
        momentum: Momentum factor.
        dampening: Dampening of the momentum.
        weight_decay: L2 penalty on Euclidean parameters.
        nesterov: Use Nesterov's momentum.
        stabilize: Project manifold parameters back onto their manifold every so many steps.
        decay_manifold: Let ``weight_decay`` act on :class:`geoopt.ManifoldParameter` too.

    Raises:
        ValueError: ``lr``, ``momentum`` or ``weight_decay`` is negative, or ``nesterov`` comes without momentum
            or with dampening.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        stabilize: int | None = None,
        decay_manifold: bool = False,
    ) -> None:
        self.decay_manifold = decay_manifold
        super().__init__(
            params,
            lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            stabilize=stabilize,
        )

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take a step, with a momentum that starts from zero."""
        # geoopt starts the momentum from the Euclidean gradient, which near the rim of a ball is thousands of times
        # the Riemannian one, and adds the first gradient twice.
        for group in self.param_groups:
            for point in group['params']:
                if group['momentum'] > 0 and point.requires_grad and not self.state[point]:
                    self.state[point]['momentum_buffer'] = torch.zeros_like(point)
        loss: float | None = super().step(closure)
        return loss
