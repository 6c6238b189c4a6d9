"""Optimizers, optimizer wrappers and their constructors."""

from hyperbolic_seg.engine.optimizers.cpu_amp import CPUAmpOptimWrapper
from hyperbolic_seg.engine.optimizers.fsdp import FSDPOptimWrapper
from hyperbolic_seg.engine.optimizers.layer_decay import LayerDecayConstructor
from hyperbolic_seg.engine.optimizers.riemannian import RiemannianAdam, RiemannianSGD

__all__ = ['CPUAmpOptimWrapper', 'FSDPOptimWrapper', 'LayerDecayConstructor', 'RiemannianAdam', 'RiemannianSGD']
