"""The normalization of a data preprocessor, and its inverse."""

from typing import Any

import torch
from torch import Tensor


def normalization(preprocessor: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation that a data preprocessor normalizes by, 0 and 1 if it does not.

    Args:
        preprocessor: Of a segmentor, such as :class:`mmseg.models.SegDataPreProcessor`.
        like: A tensor of the type and device wanted.

    Returns:
        Two tensors (C, 1, 1), or () without a normalization.
    """
    if getattr(preprocessor, '_enable_normalize', False):  # MMEngine has no public name for it
        return preprocessor.mean.to(like), preprocessor.std.to(like)
    return torch.zeros((), dtype=like.dtype, device=like.device), torch.ones((), dtype=like.dtype, device=like.device)


def levels_of(inputs: Tensor, preprocessor: Any) -> Tensor:
    """Return images in levels of 0 to 255 for what a data preprocessor has made of them, (N, 3, H, W)."""
    mean, std = normalization(preprocessor, inputs)
    return inputs * std + mean
