"""Adapters on the attention of whole towers, chosen by name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from hyperbolic_seg.layers.adapters.base import Adapter
from hyperbolic_seg.layers.adapters.low_rank import LowRank
from hyperbolic_seg.layers.adapters.placement import (
    add_adapter,
    kind_of,
    merge_adapter,
    parametrizations_of,
    weight_parts,
    weight_shapes,
)
from hyperbolic_seg.layers.adapters.projections import SplitProjections
from hyperbolic_seg.layers.adapters.radius_scaling import RadiusScaling
from hyperbolic_seg.layers.adapters.rotation import BlockRotation
from hyperbolic_seg.layers.adapters.shared_scaling import SharedScaling

ADAPTERS: dict[str, type[Adapter]] = {
    'RadiusScaling': RadiusScaling,
    'BlockRotation': BlockRotation,
    'SharedScaling': SharedScaling,
    'LowRank': LowRank,
}
"""Classes of adapters by the names that configs use."""

_BANK = 'adapter_bank'  # attribute of a tower for what its adapters share
_OURS = (Adapter, SplitProjections)
# Names of the layers in other attention modules than nn.MultiheadAttention, such as those of transformers.
_SEPARATE = (('query', 'key', 'value'), ('q_proj', 'k_proj', 'v_proj'))
_PACKED = 'qkv'  # the layer in attention modules of timm that holds all three

ModuleT = TypeVar('ModuleT', bound=nn.Module)


def add_to_tower(
    tower: ModuleT,
    type: str,
    *,
    blocks: Sequence[int] | None = None,
    out_proj: bool | None = None,
    **options: Any,
) -> ModuleT:
    """Freeze the weights of queries, keys and values of a transformer, and add a trainable adapter to each.

    In both towers of CLIP's ViT-B/16, ``RadiusScaling`` with blocks of 128 has the 5,898,240 trainable parameters of
    HyperCLIP. An adapted weight is computed at every access; :func:`torch.nn.utils.parametrize.cached` reduces that to
    one computation per forward pass, :func:`merge_tower` to none.

    Args:
        tower: Module that contains ``nn.MultiheadAttention``, or attention with ``nn.Linear`` layers named ``query``,
            ``key``, ``value`` or ``q_proj``, ``k_proj``, ``v_proj``, or with a packed one named ``qkv``, as in timm;
            changed in place.
        type: Name of the adapter: ``'RadiusScaling'`` (HyperCLIP), ``'BlockRotation'`` (HyRo), ``'SharedScaling'``
            (HyperCLIP++) or ``'LowRank'`` (LoRA).
        blocks: Indices of the attention blocks to adapt, from the end if negative; ``None`` for all.
        out_proj: Also adapt the output projections; ``None`` does what the papers do, which is to adapt them with
            ``'SharedScaling'`` alone.
        options: Options of the adapter, such as ``block_size`` and ``curvature`` (1.0 for text and 0.01 for images
            in HyperCLIP), or ``rank``; for ``'SharedScaling'`` those of :class:`ScalingBank`, or a ``bank``.

    Returns:
        The tower.

    Raises:
        TypeError: The adapter has no such option.
        ValueError: There is no adapter of that name, no attention module, no block of an index, or an option does not
            fit the weights. The tower is unchanged.
    """
    adapter = _adapter(type)
    modules = _attentions(tower, blocks, adapter.adapts_out_proj if out_proj is None else out_proj)
    if hasattr(tower, _BANK) and adapter is SharedScaling and 'bank' not in options:
        raise ValueError(f'this {kind_of(tower)} has a bank already: pass bank=tower.{_BANK} to share it')
    if (shared := add_adapter(modules, adapter, packed=_packed(tower), **options)) is not None:
        weight = next(tower.parameters())
        setattr(tower, _BANK, shared.to(weight.device, torch.promote_types(weight.dtype, torch.float32)))
    return tower


def count_parameters(
    tower: nn.Module,
    type: str,
    *,
    blocks: Sequence[int] | None = None,
    out_proj: bool | None = None,
    **options: Any,
) -> int:
    """Return the number of trainable parameters that :func:`add_to_tower` would add; the tower does not change.

    A given ``bank`` does not count, since another tower owns it.

    Example:
        Options of an equal budget for a tower of width 64, but for the 0.8 % that a rotation cannot have:

        >>> tower = nn.ModuleList(nn.MultiheadAttention(64, 4) for _ in range(2))
        >>> count_parameters(tower, 'RadiusScaling', block_size=32)
        12288
        >>> count_parameters(tower, 'BlockRotation', block_size=64)
        12096
        >>> count_parameters(tower, 'LowRank', rank=16)
        12288
        >>> count_parameters(tower, 'SharedScaling', count=47, block_size=16, out_proj=False)
        13160

    Raises:
        TypeError: As for :func:`add_to_tower`.
        ValueError: As for :func:`add_to_tower`.
    """
    adapter = _adapter(type)
    modules = _attentions(tower, blocks, adapter.adapts_out_proj if out_proj is None else out_proj)
    with torch.device('meta'):
        adapters, shared = adapter.build(weight_shapes(modules, _packed(tower)), **options)
    parts = [*adapters, *([] if shared is None else [shared])]
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


def merge_tower(tower: ModuleT) -> ModuleT:
    """Merge all adapters of a tower, and weights of projections that were split, into plain weights.

    The names of the weights are those before anything was added. Merge all towers that share a bank before the bank
    is saved or trained any further.

    Args:
        tower: The tower, changed in place.

    Returns:
        The tower.

    Raises:
        ValueError: There is nothing to merge, or a weight has further parametrizations.
    """
    adapted = list(_adapted(tower))
    if not adapted:
        raise ValueError(f'this {kind_of(tower)} has no adapter to merge: call add_to_tower(tower, ...) first')
    for module in adapted:
        merge_adapter(module, _OURS)
    if hasattr(tower, _BANK):
        delattr(tower, _BANK)
    return tower


def load_tower(tower: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load plain weights into a tower, under its adapters if it has some; the adapters do not change."""
    own = tower.state_dict()
    # The plain weights of an adapted module are called 'original', its adapter has a number.
    adapters = re.compile(rf'{_BANK}\.|.*\bparametrizations\.\w+\.\d')
    loaded = {name: value for name, value in own.items() if adapters.match(name)}
    for name, value in state.items():
        path, dot, leaf = name.rpartition('.')
        place = f'{path}{dot}parametrizations.{leaf}.original'
        if f'{place}0' in own:
            loaded |= {f'{place}{number}': part for number, part in enumerate(value.chunk(3))}
        else:
            loaded[place if place in own else name] = value
    tower.load_state_dict(loaded)


def _adapter(name: str) -> type[Adapter]:
    if name not in ADAPTERS:
        raise ValueError(f'type={name!r} is no adapter: expected one of {", ".join(ADAPTERS)}')
    return ADAPTERS[name]


def _adapted(tower: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules of which a weight has an adapter or is split."""
    for module in tower.modules():
        if isinstance(module, nn.Linear | nn.MultiheadAttention):
            found = (one for name in weight_parts(module) for one in parametrizations_of(module, name))
            if any(isinstance(one, _OURS) for one in found):
                yield module


def _attentions(tower: nn.Module, blocks: Sequence[int] | None, out_proj: bool) -> list[nn.Module]:
    """Return the modules with the weights of queries, keys and values, and with those of the outputs if asked for."""
    found = [(name, module) for name, module in tower.named_modules() if _layers(module)]
    if not found:
        raise ValueError(f'a {kind_of(tower)} has no nn.MultiheadAttention, whose weights could be adapted')
    if blocks is not None:
        found = [found[index] for index in _indices(blocks, len(found))]
    outputs = [_output(tower, name) for name, _ in found] if out_proj else []
    return [*(layer for _, module in found for layer in _layers(module)), *outputs]


def _layers(module: nn.Module) -> list[nn.Module]:
    """Return what holds the weights of an attention module: itself, or its layers; nothing if it is none."""
    if isinstance(module, nn.MultiheadAttention):
        return [module]
    layers = (getattr(module, name, None) for names in (*_SEPARATE, (_PACKED,)) for name in names)
    return [layer for layer in layers if isinstance(layer, nn.Linear)]


def _packed(tower: nn.Module) -> set[nn.Module]:
    """Return the layers that hold the weights of queries, keys and values at once."""
    layers = (getattr(module, _PACKED, None) for module in tower.modules())
    return {layer for layer in layers if isinstance(layer, nn.Linear)}


def _output(tower: nn.Module, name: str) -> nn.Module:
    """Return the output projection of an attention module, which timm calls ``proj`` and BERT has beside it."""
    modules = dict(tower.named_modules())
    places = (f'{name}.out_proj', f'{name}.proj', f'{name.rpartition(".")[0]}.output.dense')
    for place in (place.lstrip('.') for place in places):
        if isinstance(layer := modules.get(place), nn.Linear):
            return layer
    raise ValueError(f'the output projection of {name or "the attention"} is not known: set out_proj=False')


def _indices(blocks: Sequence[int], count: int) -> list[int]:
    """Return indices from 0 on, in order."""
    if not blocks or not all(isinstance(index, int) and -count <= index < count for index in blocks):
        raise ValueError(
            f'blocks={blocks!r}: expected indices from {-count} to {count - 1} of the {count} attention blocks, '
            'or None for all'
        )
    return sorted({index % count for index in blocks})
