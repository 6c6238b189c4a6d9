"""Limits of the server, and its answer to requests beyond them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import HTTPException

RETRY_AFTER = '5'
"""Seconds after which a client may try again."""


@dataclass(frozen=True)
class Limits:
    """Limits of the server."""

    megabytes: float = 20.0
    """Size of an upload."""
    json_bytes: int = 100_000
    """Size of any other body."""
    pixels: int = 25_000_000
    """Size of an image."""
    images_per_client: int = 32
    """Images in memory for one client; its oldest goes first."""
    images: int = 128
    """Images in memory for all clients; the oldest of the client with the most goes first."""
    image_bytes_per_client: int = 2**28
    """Memory for the images of one client, in bytes; its last image is always kept."""
    image_bytes: int = 2**30
    """Memory for all images, in bytes."""
    side: int = 1024
    """Longer side in pixels of the maps in answers. Images are predicted as they are."""
    predict_bytes: int = 6 * 10**9
    """Memory to predict an image by a model that cannot predict some rows at a time, in bytes."""
    prompts: int = 64
    """Prompts of a request."""
    phrases: int = 128
    """Phrases of a request: prompts and their synonyms together."""
    decoders: int = 2
    """Processes that decode uploads."""
    decode_seconds: int = 10
    """Time to decode one upload."""
    decode_bytes: int = 2**29
    """Memory to decode one upload, where the system can limit it."""
    waiting: int = 16
    """Requests that decode or predict, or wait for it, at a time; more are refused with 503."""
    requests: int = 128
    """Requests at a time."""
    requests_of_client: int = 32
    """Requests of one client at a time."""
    body_seconds: float = 30.0
    """Time for the body of a request to arrive."""
    header_seconds: float = 10.0
    """Time for the header of a request to arrive."""
    answer_seconds: float = 60.0
    """Time for a client to receive an answer."""


class Gate:
    """Admits a limited number of requests at a time; the others get 503 with ``Retry-After``.

    Args:
        capacity: Limit of the requests inside.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._inside = 0
        self._lock = threading.Lock()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold a place.

        Raises:
            HTTPException: All places are taken, status 503.
        """
        with self._lock:
            if self._inside >= self._capacity:
                raise HTTPException(503, 'the server is busy: try again later', headers={'Retry-After': RETRY_AFTER})
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
