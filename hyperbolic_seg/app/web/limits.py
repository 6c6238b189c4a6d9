"""What a server takes, and how it says that it takes no more."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import HTTPException

RETRY_AFTER = '5'
"""Seconds after which a client may come back."""


@dataclass(frozen=True)
class Limits:
    """What a server takes."""

    megabytes: float = 20.0
    """Limit of an upload."""
    json_bytes: int = 100_000
    """Limit of any other body."""
    pixels: int = 25_000_000
    """Limit of an image."""
    pictures: int = 32
    """Images kept for one client; its oldest goes first."""
    pictures_in_all: int = 128
    """Images kept for all clients; the oldest of the client with the most goes first."""
    side: int = 1024
    """Images are reduced to so many pixels on the longer side."""
    prompts: int = 64
    """Prompts of a request."""
    phrases: int = 128
    """Phrases of a request: prompts and their synonyms together."""
    decoders: int = 2
    """Processes that decode uploads."""
    decode_seconds: int = 10
    """Time to decode one upload."""
    decode_bytes: int = 2**29
    """Memory to decode one upload, where the system can bound it."""
    waiting: int = 16
    """Requests that decode or predict at a time or wait for it, each; more are told to come back."""
    requests: int = 128
    """Requests at a time."""
    requests_of_client: int = 32
    """Requests of one client at a time."""
    body_seconds: float = 30.0
    """Time for the body of a request to arrive."""
    header_seconds: float = 10.0
    """Time for the header of a request to arrive."""
    answer_seconds: float = 60.0
    """Time for a client to take an answer."""


class Gate:
    """Lets so many in at a time, and sends the others away with 503 and ``Retry-After``.

    Args:
        places: The number.
    """

    def __init__(self, places: int) -> None:
        self._concept_of_word = places
        self._inside = 0
        self._lock = threading.Lock()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Take a place.

        Raises:
            HTTPException: 503, there is none.
        """
        with self._lock:
            if self._inside >= self._concept_of_word:
                raise HTTPException(503, 'too much to do: come back later', headers={'Retry-After': RETRY_AFTER})
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
