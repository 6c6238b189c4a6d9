"""Uploaded images in memory, each client's own."""

import secrets
from collections import Counter, OrderedDict
from threading import Lock

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Pictures:
    """Images under ids that nobody can guess; no client can drop another's by uploading many.

    Args:
        most: Images kept for a client; its oldest goes first.
        in_all: Images kept for all; the oldest one of the client with the most goes first.
    """

    def __init__(self, most: int, in_all: int) -> None:
        self._most, self._in_all = most, in_all
        self._kept: OrderedDict[str, tuple[str, Image]] = OrderedDict()
        self._lock = Lock()

    def add(self, client: str, image: Image) -> str:
        """Keep an image of a client; return its id."""
        name = secrets.token_urlsafe(18)
        with self._lock:
            self._kept[name] = client, image
            counts = Counter(owner for owner, _ in self._kept.values())
            if counts[client] > self._most:
                self._drop_oldest_of(client)
            elif len(self._kept) > self._in_all:
                self._drop_oldest_of(counts.most_common(1)[0][0])
        return name

    def get(self, name: str) -> Image | None:
        """Return an image, ``None`` if it is not kept (any more)."""
        with self._lock:
            if name not in self._kept:
                return None
            self._kept.move_to_end(name)
            return self._kept[name][1]

    def _drop_oldest_of(self, client: str) -> None:
        del self._kept[next(name for name, (owner, _) in self._kept.items() if owner == client)]
