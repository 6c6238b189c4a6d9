"""Queries, keys and values of packed attention weights as three parameters, so that some can train alone."""

import re

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

_PACKED = 'in_proj_weight'
_SPLIT = re.compile(rf'(.*\b|)parametrizations\.{_PACKED}\.original([012])')
PROJECTIONS = ('q_proj_weight', 'k_proj_weight', 'v_proj_weight')
"""Names of the weights in ``nn.MultiheadAttention`` that are not packed."""


class SplitProjections(nn.Module):
    """Parametrization of a packed weight by the weights of queries, keys and values."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Pack three weights, each (D, D), into one, (3 D, D)."""
        return torch.cat([query, key, value])

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split a packed weight into three that share no memory."""
        query, key, value = (part.clone() for part in weight.chunk(3))
        return query, key, value


def is_packed(module: nn.Module) -> bool:
    """Return whether a module is attention whose weights are packed and not parametrized."""
    return isinstance(module, nn.MultiheadAttention) and module._parameters.get(_PACKED) is not None


def split_projections(attention: nn.Module) -> None:
    """Split the packed weight of an ``nn.MultiheadAttention``, in place; see :func:`names_of`."""
    parametrize.register_parametrization(attention, _PACKED, SplitProjections())


def names_of(parameter: str) -> tuple[str, ...]:
    """Return the names by which a parameter may be called.

    Example:
        >>> names_of('attn.parametrizations.in_proj_weight.original2')
        ('attn.in_proj_weight', 'attn.v_proj_weight')
        >>> names_of('attn.out_proj.weight')
        ('attn.out_proj.weight',)
    """
    if match := _SPLIT.fullmatch(parameter):
        return f'{match[1]}{_PACKED}', f'{match[1]}{PROJECTIONS[int(match[2])]}'
    return (parameter,)
