"""Freezing of parameters by name."""

import re
from collections.abc import Sequence

from torch import nn

from hyperbolic_seg.layers.adapters.projections import PROJECTIONS, is_packed, names_of, split_projections


def train_only(module: nn.Module, patterns: Sequence[str]) -> None:
    """Freeze all parameters except those whose names match a pattern.

    ``nn.MultiheadAttention`` packs the weights of queries, keys and values into ``in_proj_weight``. Patterns can name
    them apart, as ``q_proj_weight``, ``k_proj_weight`` and ``v_proj_weight``: ``('q_proj', 'v_proj')`` trains the
    weights of queries and values, as CAT-Seg does (Cho et al., CVPR 2024), neither their biases nor the keys. The
    packed weight is then parametrized by three parameters;
    :func:`~hyperbolic_seg.layers.adapters.merge_tower` packs them again.

    Args:
        module: The module, changed in place.
        patterns: Regular expressions to search for in the names; ``('',)`` matches all.

    Raises:
        TypeError: ``patterns`` is a single string.
        ValueError: A pattern matches no name.
    """
    if isinstance(patterns, str):
        raise TypeError(f'trainable={patterns!r}: expected a list of patterns, such as ({patterns!r},)')
    names = [name for name, _ in module.named_parameters()]
    packed = {path: attention for path, attention in module.named_modules() if is_packed(attention)}
    apart = {path: [f'{path}.{name}'.lstrip('.') for name in PROJECTIONS] for path in packed}
    known = [
        *(alias for name in names for alias in names_of(name)),
        *(name for some in apart.values() for name in some),
    ]
    if unmatched := [pattern for pattern in patterns if not any(re.search(pattern, name) for name in known)]:
        raise ValueError(f'trainable={unmatched} is found in no parameter; some of them are {names[:6]}')

    def trains(parameter: str) -> bool:
        return any(re.search(pattern, alias) for pattern in patterns for alias in names_of(parameter))

    for path, attention in packed.items():
        if any(map(trains, apart[path])) and not trains(f'{path}.in_proj_weight'.lstrip('.')):
            split_projections(attention)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(trains(name))
