"""Parts of a Runner beside model and data: checkpoints, hooks, optimizers, and the preparation of a config."""

from hyperbolic_seg.engine.averaging import average_weights
from hyperbolic_seg.engine.checkpoints import check_checkpoint
from hyperbolic_seg.engine.hooks import (
    MemoryFormatHook,
    PanelVisualizationHook,
    TimeBudgetHook,
    TimedCheckpointHook,
)
from hyperbolic_seg.engine.launch import (
    build_runner,
    enable_amp,
    enable_tta,
    finish_launch,
    parse_cfg_options,
    prepare_launch,
    set_work_dir,
)
from hyperbolic_seg.engine.optimizers import (
    CPUAmpOptimWrapper,
    FSDPOptimWrapper,
    LayerDecayConstructor,
    RiemannianAdam,
    RiemannianSGD,
)
from hyperbolic_seg.engine.safetensors_loader import load_from_safetensors
from hyperbolic_seg.engine.strategies import TowerFSDPStrategy, tower_blocks

__all__ = [
    'CPUAmpOptimWrapper',
    'FSDPOptimWrapper',
    'LayerDecayConstructor',
    'MemoryFormatHook',
    'PanelVisualizationHook',
    'RiemannianAdam',
    'RiemannianSGD',
    'TimeBudgetHook',
    'TimedCheckpointHook',
    'TowerFSDPStrategy',
    'average_weights',
    'build_runner',
    'check_checkpoint',
    'enable_amp',
    'enable_tta',
    'finish_launch',
    'load_from_safetensors',
    'parse_cfg_options',
    'prepare_launch',
    'set_work_dir',
    'tower_blocks',
]
