"""Uploaded images in memory, separate for each client."""

import secrets
from collections import Counter, OrderedDict
from threading import Lock

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class ImageStore:
    """Images under random ids. No client can displace another's images by uploading many.

    Args:
        per_client: Limit of the images of a client; its oldest goes first.
        total: Limit of all images; the oldest one of the client with the most goes first.
    """

    def __init__(self, per_client: int, total: int) -> None:
        self._per_client, self._total = per_client, total
        self._images: OrderedDict[str, tuple[str, Image]] = OrderedDict()
        self._lock = Lock()

    def add(self, client: str, image: Image) -> str:
        """Store an image of a client; return its id."""
        name = secrets.token_urlsafe(18)
        with self._lock:
            self._images[name] = client, image
            counts = Counter(owner for owner, _ in self._images.values())
            if counts[client] > self._per_client:
                self._drop_oldest_of(client)
            elif len(self._images) > self._total:
                self._drop_oldest_of(counts.most_common(1)[0][0])
        return name

    def get(self, name: str) -> Image | None:
        """Return an image, or ``None`` if it is not stored or was dropped."""
        with self._lock:
            if name not in self._images:
                return None
            self._images.move_to_end(name)
            return self._images[name][1]

    def _drop_oldest_of(self, client: str) -> None:
        del self._images[next(name for name, (owner, _) in self._images.items() if owner == client)]
