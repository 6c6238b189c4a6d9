"""Strategies of MMEngine's FlexibleRunner: their part of a config, and FSDP that shards towers block by block."""

import importlib.util
from collections.abc import Iterator
from functools import partial
from typing import Any

from mmengine._strategy import DDPStrategy, DeepSpeedStrategy, FSDPStrategy
from mmengine.config import Config
from mmengine.device import is_cuda_available
from mmengine.registry import STRATEGIES
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp.wrap import lambda_auto_wrap_policy

from hyperbolic_seg.models import OpenCLIPVisionBackbone
from hyperbolic_seg.text import TextTower

__all__ = ['TowerFSDPStrategy', 'is_flexible', 'prepare_strategy', 'tower_blocks']

_ELSEWHERE = {
    'compile': 'it does not compile models',
    'model_wrapper_cfg': 'set strategy.model_wrapper',
    'sync_bn': 'set strategy.sync_bn',
}
"""Settings of a Runner that a FlexibleRunner does not read."""


def tower_blocks(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the blocks of all towers of CLIP in a model that are called as modules, and can be sharded each by itself.

    The last block of a vision transformer is not among them: dense features are computed from its weights.
    """
    for module in model.modules():
        if isinstance(module, OpenCLIPVisionBackbone | TextTower):
            yield from module.blocks()


@STRATEGIES.register_module()
class TowerFSDPStrategy(FSDPStrategy):
    """MMEngine's ``FSDPStrategy``, which gathers one block of a tower at a time, and everything else together.

    ``auto_wrap_policy`` of ``model_wrapper`` replaces that. Arguments are those of the original, whose trainings cannot
    be resumed with torch since 2.1.
    """

    model_wrapper: dict[str, Any] | None

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        blocks = frozenset(tower_blocks(model))
        policy = partial(lambda_auto_wrap_policy, lambda_fn=blocks.__contains__)
        self.model_wrapper = dict(auto_wrap_policy=policy) | dict(self.model_wrapper or {})
        wrapped: nn.Module = super()._wrap_model(model)
        return wrapped

    def _init_state_dict_cfg(self, state_dict_cfg: str | dict[str, Any]) -> None:
        super()._init_state_dict_cfg(state_dict_cfg)
        if self._is_full_state_dict() and not is_cuda_available():
            # Torch relies on this copy for the memory of each moment; from a CPU to a CPU it copies nothing.
            self.optim_state_dict_config.offload_to_cpu = False

    def load_optim_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state of the optimizer, which the original passes to torch in the order of torch 2.0."""
        state = FullyShardedDataParallel.optim_state_dict_to_load(
            model=self.model, optim=self.optim_wrapper.optimizer, optim_state_dict=state_dict
        )
        self.optim_wrapper.load_state_dict(state)


def is_flexible(cfg: Config) -> bool:
    """Return whether a config asks for MMEngine's FlexibleRunner."""
    return bool(cfg.get('runner_type') == 'FlexibleRunner')


def prepare_strategy(cfg: Config, launcher: str) -> None:
    """Check ``runner_type`` and ``strategy`` of a config, and let the strategy work without GPUs where there are none.

    Args:
        cfg: The config, changed in place.
        launcher: As for :func:`~hyperbolic_seg.engine.prepare_launch`.

    Raises:
        ImportError: The strategy needs DeepSpeed, which is not installed.
        ValueError: There is no such runner or strategy, or another setting does not fit it.
    """
    if cfg.get('runner_type', 'Runner') not in ('Runner', 'FlexibleRunner'):
        raise ValueError(f"runner_type={cfg.runner_type!r}: expected 'Runner' or 'FlexibleRunner'")
    if not is_flexible(cfg):
        if 'strategy' in cfg:
            raise ValueError("a Runner reads no strategy: set runner_type='FlexibleRunner', or leave strategy out")
        _check_wrapper(cfg, sharded=False)
        return
    if unread := [name for name in _ELSEWHERE if cfg.get(name)]:
        raise ValueError(f'a FlexibleRunner does not read {unread[0]}: leave it out; {_ELSEWHERE[unread[0]]}')
    cfg.setdefault('strategy', dict(type='SingleDeviceStrategy' if launcher == 'none' else 'DDPStrategy'))
    kind = _kind(cfg.strategy)
    is_sharded = issubclass(kind, FSDPStrategy)
    if launcher == 'none' and issubclass(kind, DDPStrategy | DeepSpeedStrategy):
        raise ValueError(
            f'the strategy {kind.__name__} is for several processes: start them with tools/dist_train.sh, or torchrun '
            'and --launcher pytorch, or leave runner_type and strategy out'
        )
    _check_wrapper(cfg, sharded=is_sharded)
    if issubclass(kind, DeepSpeedStrategy):
        _check_deepspeed(cfg)
    elif issubclass(kind, DDPStrategy) and not is_cuda_available():
        device = dict(device_id='cpu') if is_sharded else dict(device_ids=None, broadcast_buffers=False)
        cfg.strategy.model_wrapper = device | dict(cfg.strategy.get('model_wrapper') or {})


def _kind(strategy: dict[str, Any]) -> type:
    kind = strategy['type'] if isinstance(strategy['type'], type) else STRATEGIES.get(strategy['type'])
    if kind is None:
        raise ValueError(f'strategy.type={strategy["type"]!r}: expected one of {sorted(STRATEGIES.module_dict)}')
    return kind


def _check_wrapper(cfg: Config, *, sharded: bool) -> None:
    """Refuse a clipping of gradients that would take the norm of one shard, or look for shards where there are none."""
    wrapper = cfg.get('optim_wrapper') or {}
    by_shards = wrapper.get('type') == 'FSDPOptimWrapper'
    if by_shards and not sharded:
        raise ValueError("optim_wrapper.type='FSDPOptimWrapper' is for FSDP: set strategy.type='TowerFSDPStrategy'")
    clip = wrapper.get('clip_grad') or dict(type='value')
    if sharded and not by_shards and clip.get('type', 'norm') == 'norm':
        raise ValueError(
            f'optim_wrapper.type={wrapper.get("type")!r} clips by the norm of the shard of each process: set '
            "optim_wrapper.type='FSDPOptimWrapper', for mixed precision with dtype='bfloat16'"
        )


def _check_deepspeed(cfg: Config) -> None:
    if importlib.util.find_spec('deepspeed') is None:
        raise ImportError("the strategy DeepSpeedStrategy needs DeepSpeed: pip install 'hyperbolic-seg[deepspeed]'")
    kind = cfg.optim_wrapper.get('type')
    if kind != 'DeepSpeedOptimWrapper':
        raise ValueError(
            f'optim_wrapper.type={kind!r}: DeepSpeed takes the steps itself, set DeepSpeedOptimWrapper with nothing '
            'but optimizer, constructor and paramwise_cfg'
        )
    if cfg.get('load_from'):
        raise ValueError(
            f'load_from={cfg.load_from!r}: DeepSpeed reads folders of its own alone, set '
            f"model.init_cfg=dict(type='Pretrained', checkpoint={cfg.load_from!r})"
        )
    if (cfg.get('auto_scale_lr') or {}).get('enable'):
        raise ValueError('MMEngine scales no learning rate for DeepSpeed: set optim_wrapper.optimizer.lr')
