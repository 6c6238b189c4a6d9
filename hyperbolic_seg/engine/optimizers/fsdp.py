"""Clipping of gradients that lie in shards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn

__all__ = ['FSDPOptimWrapper']


@OPTIM_WRAPPERS.register_module()
class FSDPOptimWrapper(OptimWrapper):
    """An :class:`mmengine.optim.OptimWrapper` that clips by the norm of the whole gradient under FSDP.

    The original takes the norm of what a process holds. Processes would scale their shards by different factors, all
    of them too large. Arguments are those of the original.
    """

    _sharded: Any = None

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Remember the model, which knows the norm, and enter the context of the original."""
        self._sharded = model
        with super().optim_context(model):
            yield

    def _clip_grad(self) -> None:
        if self.clip_func is nn.utils.clip_grad_value_:
            super()._clip_grad()
            return
        norm = self._sharded.clip_grad_norm_(**self.clip_grad_kwargs)
        self.message_hub.update_scalar(f'train/{self.grad_name}', float(norm))
