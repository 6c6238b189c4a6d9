"""Levels of a camera: how many bits they have, and how its colors are balanced."""

from typing import NamedTuple

_DEPTHS = (8, 10, 12, 14, 16)  # of sensors, whose levels cameras write into files of 16 bits


class Levels(NamedTuple):
    """What is known of the levels that a camera writes."""

    bit_depth: int | None = None
    """Bits of its levels in files of 16 bits, 8 to 16; ``None`` if unknown."""
    white_balance: tuple[float, float] = (1.0, 1.0)
    """Factors of red and blue, relative to green, for FITS files, which do not state any."""


def depth_of(largest: int, given: int | None, name: str) -> int:
    """Return the bits of the levels of a file of 16 bits.

    Args:
        largest: The largest level in the file.
        given: The bits that its camera has; without them, as many as the largest level needs: 8, 10, 12, 14 or 16.
        name: Name of the image in errors.

    Raises:
        ValueError: A level is larger than the given bits hold.
    """
    if given is None:
        return next(bits for bits in _DEPTHS if largest.bit_length() <= bits)
    if largest.bit_length() > given:
        raise ValueError(
            f'{name} has levels up to {largest}, and bit_depth: {given} holds up to {2**given - 1}: is bit_depth that '
            'of another camera?'
        )
    return given
