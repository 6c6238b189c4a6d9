"""Learning rates that decay from the last layer of a tower to its first."""

from collections.abc import Iterator
from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from hyperbolic_seg.models.backbones import OpenCLIPVisionBackbone
from hyperbolic_seg.text import TextTower

__all__ = ['LayerDecayConstructor']

_STACKS = ('resblocks', 'stages', 'blocks', 'layer')  # names of the layers in open_clip, timm and transformers
_FIRST = (
    *('conv1', 'class_embedding', 'positional_embedding', 'ln_pre', 'token_embedding'),  # open_clip
    *('stem', 'patch_embed', 'cls_token', 'reg_token', 'pos_embed', 'norm_pre'),  # timm
    'embeddings',  # transformers
)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor(DefaultOptimWrapperConstructor):
    r"""Layer-wise learning rates for the towers of CLIP (Bao et al., BEiT, ICLR 2022).

    ``custom_keys`` give every :class:`~hyperbolic_seg.models.OpenCLIPVisionBackbone` and
    :class:`~hyperbolic_seg.text.TextTower` its rate :math:`\eta`. Layer ``i`` of ``L`` learns at
    :math:`\eta \gamma^{L - 1 - i}`, the embeddings before the layers at :math:`\eta \gamma^L`, and parameters after the
    layers at :math:`\eta`.

    Args:
        optim_wrapper_cfg: Argument of :class:`mmengine.optim.DefaultOptimWrapperConstructor`.
        paramwise_cfg: Options of the original, and ``layer_decay``, the factor :math:`\gamma`, above 0 and at most 1.

    Raises:
        ValueError: The factor is missing or out of range.
    """

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None) -> None:
        options = dict(paramwise_cfg or {})
        self.layer_decay = options.pop('layer_decay', None)
        if not isinstance(self.layer_decay, (int, float)) or not 0 < self.layer_decay <= 1:
            raise ValueError(f'layer_decay={self.layer_decay!r} in paramwise_cfg: expected a number above 0, at most 1')
        super().__init__(optim_wrapper_cfg, options)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Return the optimizer of a model.

        Raises:
            ValueError: The model has no tower of CLIP.
        """
        given = dict(self.paramwise_cfg.get('custom_keys', {}))
        generated = dict(self._keys(getattr(model, 'module', model), given))
        if not generated:
            raise ValueError(
                f'a {type(model).__name__} has no tower of CLIP, so there are no layers to decay over: leave the '
                'constructor out, or use an OpenCLIPVisionBackbone or a text encoder that is trained'
            )
        self.paramwise_cfg['custom_keys'] = given | generated
        return super().__call__(model)

    def _keys(self, model: nn.Module, given: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield custom keys of single parameters; MMEngine prefers them to given keys, which are shorter."""
        for name, module in model.named_modules():
            if not isinstance(module, OpenCLIPVisionBackbone | TextTower):
                continue
            stack, depth = _layers(module)
            for parameter, _ in module.named_parameters():
                whole = f'{name}.{parameter}'
                if parameter.startswith(f'{stack}.'):
                    power = depth - 1 - int(parameter[len(stack) + 1 :].split('.')[0])
                elif any(part in _FIRST for part in parameter.split('.')):
                    power = depth
                else:
                    continue
                own = max((key for key in given if key in whole), key=len, default=None)
                options = dict(given[own]) if own is not None else {}
                yield whole, options | dict(lr_mult=options.get('lr_mult', 1.0) * self.layer_decay**power)


def _layers(tower: nn.Module) -> tuple[str, int]:
    """Return the name of a tower's stack of layers, and the number of layers."""
    found = ((name, module) for name, module in tower.named_modules() if name.rpartition('.')[2] in _STACKS)
    return next((name, len(stack)) for name, stack in found if isinstance(stack, nn.ModuleList | nn.Sequential))
