"""Scalar parameters, which have one element in one dimension, because FSDP takes none without a dimension."""

from typing import Any

from torch import Tensor, nn

__all__ = ['ScalarParameters']


class ScalarParameters(nn.Module):
    """Base of modules with parameters of shape (1,); checkpoints may hold these in the shape ()."""

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        for name, parameter in self._parameters.items():
            value = state_dict.get(prefix + name)
            if parameter is not None and parameter.shape == (1,) and value is not None and value.ndim == 0:
                state_dict[prefix + name] = value.reshape(1)
        super()._load_from_state_dict(state_dict, prefix, *args)
