"""Freezing of parameters by name."""

import re
from collections.abc import Sequence

from torch import nn


def train_only(module: nn.Module, patterns: Sequence[str]) -> None:
    """Freeze all parameters except those whose names match a pattern.

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
    if unmatched := [pattern for pattern in patterns if not any(re.search(pattern, name) for name in names)]:
        raise ValueError(f'trainable={unmatched} is found in no parameter; some of them are {names[:6]}')
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(any(re.search(pattern, name) for pattern in patterns))
