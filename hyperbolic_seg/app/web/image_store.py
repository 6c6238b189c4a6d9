"""Images in memory, separate for each client."""

import secrets
from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import printable
from hyperbolic_seg.sky.camera import Exif, FitsHeader

Pixels = NDArray[np.uint8]

_PARTS = 8  # folders in the name of an upload, its own name included
_LONGEST = 200  # characters of each


class StoredImage(NamedTuple):
    """An image and what is known of it."""

    pixels: Pixels
    """BGR image, (H, W, 3)."""
    preview: Pixels
    """The image reduced for the screen."""
    name: str
    """Its name: that of the file, or of the example."""
    exif: Exif | FitsHeader | None = None
    """Its EXIF data or FITS header; ``None`` for a rendered image, which no camera took."""

    @property
    def size(self) -> int:
        """Its memory in bytes."""
        shared = self.preview is self.pixels
        return self.pixels.nbytes + (0 if shared else self.preview.nbytes)


class ImageStore:
    """Images under random ids. No client can displace another's images by uploading many.

    Beyond a limit the oldest image of the client goes first; beyond one of all clients, that of the client with the
    most images or bytes, and of several the one whose image is the oldest.

    Args:
        per_client: Limit of the images of a client.
        total: Limit of all images.
        bytes_per_client: Limit of the memory of the images of a client; one image is always kept.
        bytes_in_all: Limit of the memory of all images.
    """

    def __init__(self, per_client: int, total: int, *, bytes_per_client: int, bytes_in_all: int) -> None:
        self._most = dict(images=per_client, bytes=bytes_per_client)
        self._most_of_all = dict(images=total, bytes=bytes_in_all)
        self._images: OrderedDict[str, tuple[str, StoredImage]] = OrderedDict()
        self._lock = Lock()

    def add(self, client: str, image: StoredImage) -> str:
        """Store an image of a client; return its id."""
        name = secrets.token_urlsafe(18)
        with self._lock:
            self._images[name] = client, image
            while self._exceeded({client}, self._most) and self._drop_oldest_of(client, but=name):
                pass
            while unit := self._exceeded(None, self._most_of_all):
                used = {owner: self._used({owner})[unit] for owner, _ in self._images.values()}
                others = dict.fromkeys(owner for each, (owner, _) in self._images.items() if each != name)
                if not others:
                    break
                self._drop_oldest_of(max(others, key=used.__getitem__), but=name)
        return name

    def get(self, name: str) -> StoredImage | None:
        """Return an image, or ``None`` if it is not stored or was dropped."""
        with self._lock:
            if name not in self._images:
                return None
            self._images.move_to_end(name)
            return self._images[name][1]

    def _used(self, clients: set[str] | None) -> dict[str, int]:
        """Return the number and the bytes of the images of some clients, or of all."""
        sizes = [image.size for owner, image in self._images.values() if clients is None or owner in clients]
        return dict(images=len(sizes), bytes=sum(sizes))

    def _exceeded(self, clients: set[str] | None, limits: dict[str, int]) -> str | None:
        """Return which limit the images of some clients, or of all, exceed; ``None`` if none."""
        return next((unit for unit, used in self._used(clients).items() if used > limits[unit]), None)

    def _drop_oldest_of(self, client: str, *, but: str) -> bool:
        """Drop the oldest image of a client but one; return whether there was any."""
        oldest = next((name for name, (owner, _) in self._images.items() if owner == client and name != but), None)
        if oldest is not None:
            del self._images[oldest]
        return oldest is not None


def clean_name(given: str) -> str:
    r"""Return the name of an upload without control characters and without a way out of its folder.

    Folders are kept, because a camera may have the time in them. Nothing is read or written under the name.

    Example:
        >>> clean_name('C:\\sky\\..\\2024\\07\\noon.jpg')
        'sky/2024/07/noon.jpg'
    """
    parts = [part for part in given.replace('\\', '/').split('/') if part not in ('', '.', '..') and part[-1:] != ':']
    return '/'.join(printable(part)[-_LONGEST:] for part in parts[-_PARTS:]) or 'upload'
