"""Steps of an optimizer whose gradients lie in shards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn

__all__ = ['FSDPOptimWrapper']


@OPTIM_WRAPPERS.register_module()
class FSDPOptimWrapper(OptimWrapper):
    """An :class:`mmengine.optim.OptimWrapper` that clips by the norm of the whole gradient under FSDP.

    The original takes the norm of what a process holds. Processes would scale their shards by different factors, all
    of them too large.

    Args:
        *args: As for the original.
        dtype: ``'bfloat16'`` runs the forward pass in mixed precision, whose range needs no loss scaling; ``None`` for
            float32. Shards are kept, gathered and reduced in float32.
        **kwargs: As for the original.

    Raises:
        ValueError: ``dtype`` is another one.
    """

    def __init__(self, *args: Any, dtype: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if dtype not in (None, 'bfloat16'):
            raise ValueError(f"dtype={dtype!r}: expected 'bfloat16', or None for float32")
        self.in_bfloat16 = dtype is not None
        self._sharded: Any = None

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Remember the model, which knows the norm, and enter the context of the forward pass."""
        self._sharded = model
        mixed = torch.autocast(get_device(), dtype=torch.bfloat16, enabled=self.in_bfloat16)
        with super().optim_context(model), mixed:
            yield

    def _clip_grad(self) -> None:
        if self.clip_func is nn.utils.clip_grad_value_:
            super()._clip_grad()
            return
        norm = self._sharded.clip_grad_norm_(**self.clip_grad_kwargs)
        self.message_hub.update_scalar(f'train/{self.grad_name}', float(norm))
