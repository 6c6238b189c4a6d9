"""Statistics over the processes of a distributed training."""

import torch
import torch.distributed
from torch import Tensor

__all__ = ['mean_over_processes', 'several_processes']


def several_processes() -> bool:
    """Return whether this is one of several processes of a training."""
    available = torch.distributed.is_available() and torch.distributed.is_initialized()
    return available and torch.distributed.get_world_size() > 1


def mean_over_processes(x: Tensor) -> Tensor:
    """Return the mean over the elements of the tensors of all processes, shape (), without its gradient."""
    total = torch.stack([x.detach().sum(), x.new_tensor(x.numel())])
    if several_processes():
        torch.distributed.all_reduce(total)
    return total[0] / total[1]
