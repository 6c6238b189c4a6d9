"""Partitions of an archive, each with an address that names its content and how it is predicted."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hyperbolic_seg.app.archive.sources import Picture


class Partition(NamedTuple):
    """Pictures that one task predicts, into one file."""

    address: str
    """Hexadecimal digits; those of another partition, or of other settings, differ."""
    pictures: tuple[Picture, ...]
    """In the order of their keys."""
    before: tuple[Picture, ...]
    """The partition before, if records depend on it."""


def partitions(pictures: Sequence[Picture], settings: str, *, size: int, ordered: bool) -> Iterator[Partition]:
    """Cut pictures into partitions.

    The keys themselves say where a cut is, not their number. So one more picture changes its own partition and at most
    the next ones, and a larger archive is not predicted again.

    Args:
        pictures: Sorted by key.
        settings: Fingerprint of how they are predicted.
        size: Usual number of pictures in a partition; it has half as many to twice as many.
        ordered: The record of a picture depends on those before it, as of one that repeats them.

    Raises:
        ValueError: The size is below 1.
    """
    if size < 1:
        raise ValueError(f'partitions of {size} pictures: expected at least 1')
    before: tuple[Picture, ...] = ()
    for cut in _cut(pictures, size):
        address = hashlib.sha256(json.dumps([settings, cut, before]).encode()).hexdigest()[:32]
        yield Partition(address, cut, before)
        before = cut if ordered else ()


def _cut(pictures: Sequence[Picture], size: int) -> Iterator[tuple[Picture, ...]]:
    """Yield runs that end, from half the size on, at a key whose hash is a multiple of half the size."""
    least, most, start = (size + 1) // 2, 2 * size, 0
    for number, picture in enumerate(pictures, 1):
        count = number - start
        if count == most or (count >= least and _hash(picture.key) % least == 0):
            yield tuple(pictures[start:number])
            start = number
    if start < len(pictures):
        yield tuple(pictures[start:])


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode('utf-8', 'surrogatepass')).digest()[:8], 'big')
