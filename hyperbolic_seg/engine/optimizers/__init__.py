"""Optimiser wrappers."""

from hyperbolic_seg.engine.optimizers.cpu_amp import CPUAmpOptimWrapper

__all__ = ['CPUAmpOptimWrapper']
