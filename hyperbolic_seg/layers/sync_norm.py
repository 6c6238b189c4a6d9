"""Hyperbolic batch normalization whose statistics are those of all processes."""

from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from hyperbolic_seg.geometry import midpoint, mobius_add, safe_norm
from hyperbolic_seg.geometry.numeric import curvature_tensor, largest_exponent
from hyperbolic_seg.layers.distributed import several_processes
from hyperbolic_seg.layers.norm import HyperbolicBatchNorm2d


class HyperbolicSyncBatchNorm(HyperbolicBatchNorm2d):
    r"""Batch normalization in hyperbolic space over the batches of all processes, as ``nn.SyncBatchNorm``.

    The sum of points on the hyperboloid is the midpoint of a process times :math:`W=\sum_i\cosh(\sqrt c\,d(m,x_i))`,
    so the joint midpoint is that of the midpoints of all processes with these weights. Only D + 2 numbers are exchanged
    in each direction, for GPUs and CPUs alike. In a single process, and in evaluation, it is the base class. The
    arguments are those of :class:`HyperbolicBatchNorm2d`.
    """

    @classmethod
    def convert_sync_batchnorm(cls, module: nn.Module) -> nn.Module:
        """Replace every :class:`HyperbolicBatchNorm2d` in a module, parameters kept; returns the module.

        ``nn.SyncBatchNorm.convert_sync_batchnorm`` replaces the Euclidean ones.
        """
        if type(module) is HyperbolicBatchNorm2d:
            module.__class__ = cls
        for child in module.children():
            cls.convert_sync_batchnorm(child)
        return module

    def _total(self, count: int) -> int:
        if not self._synchronized():
            return count
        total = torch.tensor(count, device=self.curvature().device)
        torch.distributed.all_reduce(total)
        return int(total)

    def _mean(self, v: Tensor, c: Tensor) -> Tensor:
        if not self._synchronized():
            return super()._mean(v, c)
        rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        means, logs = v.new_zeros(world, v.shape[1]), v.new_zeros(world)
        own = torch.arange(world, device=v.device) == rank
        if v.numel():
            mean = super()._mean(v, c)
            centered = mobius_add(-mean.view(1, -1, *[1] * (v.ndim - 2)), v, c, dim=1)
            rho = 2 * curvature_tensor(c, v).sqrt() * safe_norm(centered, 1)
            largest = rho.detach().max()
            # log of the sum of cosh(rho)
            log_weight = largest + ((torch.exp(rho - largest) + torch.exp(-rho - largest)) / 2).sum().log()
            means, logs = torch.where(own[:, None], mean, means), torch.where(own, log_weight, logs)
        else:
            # 0; the gradients of the other processes have to pass here too.
            means, logs = means + v.sum(), logs + v.sum()
        means, logs, filled = _Sum.apply(means), _Sum.apply(logs), _Sum.apply((own & bool(v.numel())).to(v))
        logs = torch.where(filled > 0, logs, -torch.inf)
        weights = torch.exp((logs - logs.detach().max()).clamp_min(-2 * largest_exponent(v.dtype))) * filled
        return midpoint(means, weights[:, None], c)

    def _variance(self, centered: Tensor, count: int) -> Tensor:
        if not self._synchronized():
            return super()._variance(centered, count)
        squares: Tensor = _Sum.apply(centered.square().sum((0, *range(2, centered.ndim))))
        return squares / max(count, 1)

    def _synchronized(self) -> bool:
        return self.training and several_processes()


class _Sum(torch.autograd.Function):
    """Sum over all processes, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.contiguous().clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)
