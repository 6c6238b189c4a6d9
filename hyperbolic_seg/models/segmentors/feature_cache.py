"""Image features kept from one set of prompts to the next."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any

from cachetools import LRUCache
from torch import Tensor


class FeatureCache:
    """Keep the features of the images used last, within a limit of memory.

    Images are recognized by their content, so prompts may change in between, and windows may come in any order.

    Args:
        max_bytes: Memory limit in bytes. Features that exceed it alone are not kept.
    """

    def __init__(self, max_bytes: int = 2**29) -> None:
        self.hits = 0
        self._kept: LRUCache[bytes, Any] = LRUCache(max_bytes, getsizeof=_bytes_of)
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __call__(self, encode: Callable[[Tensor], Any], inputs: Tensor) -> Any:
        """Return the features of inputs, (N, 3, H, W), and encode those that are not known."""
        content = inputs.detach().cpu().contiguous()
        key = hashlib.sha256(content.numpy().tobytes()).digest() + repr((inputs.shape, inputs.device)).encode()
        with self._lock:
            if key in self._kept:
                self.hits += 1
                return self._kept[key]
        features = encode(inputs)
        with self._lock, suppress(ValueError):  # larger than the limit
            self._kept[key] = features
        return features


def _bytes_of(features: Any) -> int:
    if isinstance(features, Tensor):
        return features.numel() * features.element_size()
    return sum(map(_bytes_of, features))
