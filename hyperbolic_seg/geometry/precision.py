"""Full precision where half of it would not do."""

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device: torch.device) -> AbstractContextManager:
    """Return a context in which autocast does not lower the precision of what is computed.

    Args:
        device: Where it is computed; on the meta device, which autocast does not know, nothing is.
    """
    return nullcontext() if device.type == 'meta' else torch.autocast(device.type, enabled=False)
