"""Image features kept from one set of prompts to the next."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

from torch import Tensor


class FeatureCache:
    """Keep the features of the images used last, within a limit of memory.

    Images are recognized by their content, so prompts may change in between, and windows may come in any order.

    Args:
        max_bytes: Memory limit in bytes.
    """

    def __init__(self, max_bytes: int = 2**29) -> None:
        self.max_bytes = max_bytes
        self.hits = 0
        self._kept: OrderedDict[bytes, tuple[Any, int]] = OrderedDict()
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
                self._kept.move_to_end(key)
                return self._kept[key][0]
        features = encode(inputs)
        size = sum(part.numel() * part.element_size() for part in _tensors(features))
        with self._lock:
            self._kept[key] = features, size
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > self.max_bytes:
                self._kept.popitem(last=False)
        return features


def _tensors(features: Any) -> list[Tensor]:
    if isinstance(features, Tensor):
        return [features]
    return [tensor for part in features for tensor in _tensors(part)]
