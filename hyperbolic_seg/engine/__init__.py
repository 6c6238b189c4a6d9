"""Parts of a Runner beside model and data: checkpoints, hooks, optimizers."""

from hyperbolic_seg.engine.checkpoints import check_checkpoint
from hyperbolic_seg.engine.hooks import MemoryFormatHook, PanelVisualizationHook
from hyperbolic_seg.engine.optimizers import CPUAmpOptimWrapper, LayerDecayConstructor, RiemannianAdam, RiemannianSGD
from hyperbolic_seg.engine.safetensors_loader import load_from_safetensors

__all__ = [
    'CPUAmpOptimWrapper',
    'LayerDecayConstructor',
    'MemoryFormatHook',
    'PanelVisualizationHook',
    'RiemannianAdam',
    'RiemannianSGD',
    'check_checkpoint',
    'load_from_safetensors',
]
