"""Statistics over the processes of a distributed training."""

import torch
import torch.distributed
from torch import Tensor

__all__ = ['mean_over_processes']


def mean_over_processes(x: Tensor) -> Tensor:
    """Return the mean of a tensor over all processes, without its gradient."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return x
    total = x.detach().clone()
    torch.distributed.all_reduce(total)
    return total / torch.distributed.get_world_size()
