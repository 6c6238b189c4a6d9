"""Training some parameters of a module and leaving all others as they are."""

import re
from collections.abc import Sequence

from torch import nn


def train_only(module: nn.Module, patterns: Sequence[str]) -> None:
    """Let the parameters train whose names match, and freeze all others.

    Args:
        module: It is changed in place.
        patterns: Regular expressions, searched for in the names; ``('',)`` is found in all.

    Raises:
        TypeError: The patterns are a single string.
        ValueError: A pattern is found in no name.
    """
    if isinstance(patterns, str):
        raise TypeError(f'trainable={patterns!r}: expected a list of patterns, such as ({patterns!r},)')
    names = [name for name, _ in module.named_parameters()]
    if lost := [pattern for pattern in patterns if not any(re.search(pattern, name) for name in names)]:
        raise ValueError(f'trainable={lost} is found in no parameter; some of them are {names[:6]}')
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(any(re.search(pattern, name) for pattern in patterns))
