"""Optimisers and optimiser wrappers."""

from hyperbolic_seg.engine.optimizers.cpu_amp import CPUAmpOptimWrapper
from hyperbolic_seg.engine.optimizers.riemannian import RiemannianAdam, RiemannianSGD

__all__ = ['CPUAmpOptimWrapper', 'RiemannianAdam', 'RiemannianSGD']
