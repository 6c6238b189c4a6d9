"""Placement of adapters on the weights of a module, and their merging into plain weights."""

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.utils import parametrize

from hyperbolic_seg.layers.adapters.base import Adapter, WeightShape
from hyperbolic_seg.layers.adapters.projections import PROJECTIONS, SplitProjections

ModuleT = TypeVar('ModuleT', bound=nn.Module)


def add_adapter(
    modules: Sequence[nn.Module], adapter: type[Adapter], *, packed: Collection[nn.Module] = (), **options: Any
) -> nn.Module | None:
    """Freeze the weights of modules and add an adapter to each weight.

    Args:
        modules: Modules of the types ``nn.Linear`` and ``nn.MultiheadAttention``, changed in place.
        adapter: Class of the adapters.
        packed: Those of the modules that are ``nn.Linear`` with the weights of queries, keys and values one below the
            other, as ``qkv`` in timm.
        options: Options of :meth:`Adapter.build`.

    Returns:
        The shared module, which the tower registers; ``None`` if there is none.

    Raises:
        TypeError: A module has another type.
        ValueError: An option does not fit the weights, or one is parametrized already. The modules are unchanged.
    """
    places = [(module, name) for module in modules for name in weight_parts(module)]
    for module, name in places:
        if parametrize.is_parametrized(module, name):
            raise ValueError(
                f'{name} of this {kind_of(module)} is parametrized already: expected a plain weight; merge its adapter '
                'first, a RadiusScaling with merge_radius_scaling(module), and train either an adapter or the weights '
                'of projections'
            )
    adapters, shared = adapter.build(weight_shapes(modules, packed), **options)
    for (module, name), one in zip(places, adapters, strict=True):
        weight = getattr(module, name)
        dtype = torch.promote_types(weight.dtype, torch.float32)
        weight.requires_grad_(False)
        parametrize.register_parametrization(module, name, one.to(weight.device, dtype))
    return shared


def weight_shapes(modules: Sequence[nn.Module], packed: Collection[nn.Module] = ()) -> list[WeightShape]:
    """Return the shapes of the weights of modules; those of ``packed`` have three parts, see :func:`add_adapter`."""
    weights = [
        (getattr(module, name), 3 if module in packed else parts)
        for module in modules
        for name, parts in weight_parts(module).items()
    ]
    return [WeightShape(weight.shape[0], weight.shape[1], parts) for weight, parts in weights]


@torch.no_grad()
def merge_adapter(module: ModuleT, adapter: type[nn.Module] | tuple[type[nn.Module], ...] = Adapter) -> ModuleT:
    """Merge adapters of a module into plain, frozen weights of the original names.

    Args:
        module: Module with adapted weights, changed in place.
        adapter: Class of the adapters.

    Returns:
        The module.

    Raises:
        TypeError: The module is neither ``nn.Linear`` nor ``nn.MultiheadAttention``.
        ValueError: There is no such adapter, or a weight has further parametrizations.
    """
    what = adapter.__name__ if isinstance(adapter, type) else 'adapter'
    found = {name: parametrizations_of(module, name) for name in weight_parts(module)}
    names = [name for name, those in found.items() if any(isinstance(one, adapter) for one in those)]
    if not names:
        raise ValueError(f'this {kind_of(module)} has no {what} to merge: add one first, or leave the merging out')
    for name in names:
        if len(found[name]) > 1:
            raise ValueError(
                f'{name} of this {kind_of(module)} has parametrizations beside its {what}: expected none; '
                'torch.nn.utils.parametrize.remove_parametrizations merges them all'
            )
    _leave_shared_class(module)
    for name in names:
        merged = getattr(module, name).detach().clone()
        # Torch restores only single originals; the value of others is replaced below.
        parametrize.remove_parametrizations(
            module, name, leave_parametrized=isinstance(found[name][0], SplitProjections)
        )
        setattr(module, name, nn.Parameter(merged, requires_grad=False))
    return module


def _leave_shared_class(module: nn.Module) -> None:
    """Give a parametrized module a class that no deep copy has too: removing deletes the properties of the class."""
    shared = type(module)
    module.__class__ = type(shared.__name__, shared.__bases__, dict(shared.__dict__))


def weight_parts(module: nn.Module) -> dict[str, int]:
    """Return the names of the weights to adapt, with the number of parts of each.

    Raises:
        TypeError: The module is neither ``nn.Linear`` nor ``nn.MultiheadAttention``.
    """
    if isinstance(module, nn.Linear):
        return {'weight': 1}
    if isinstance(module, nn.MultiheadAttention):
        packed = parametrize.is_parametrized(module, 'in_proj_weight') or module.in_proj_weight is not None
        return {'in_proj_weight': 3} if packed else dict.fromkeys(PROJECTIONS, 1)
    raise TypeError(
        f'a {kind_of(module)} has no weights to adapt: expected nn.Linear or nn.MultiheadAttention; '
        'pass the layers of a model one by one'
    )


def parametrizations_of(module: nn.Module, name: str) -> list[nn.Module]:
    """Return the parametrizations of a weight."""
    if not parametrize.is_parametrized(module, name):
        return []
    return list(module.get_submodule(f'parametrizations.{name}').children())


def kind_of(module: nn.Module) -> str:
    """Return the name of the class of a module, parametrized or not."""
    return parametrize.type_before_parametrizations(module).__name__
