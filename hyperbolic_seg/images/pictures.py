"""Safe decoding of pictures: 8-bit colors, rotated by their EXIF orientation; bad files are refused by name."""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from hyperbolic_seg.files import reason_of
from hyperbolic_seg.images.formats import PICTURE, format_of
from hyperbolic_seg.images.levels import depth_of
from hyperbolic_seg.images.sizes import LARGE_PIXELS

MAX_PIXELS = 100_000_000
"""Limit of the pixels of an image; a larger one is refused from its header alone, before it takes memory."""
MAX_BYTES = 2**30
"""Limit of the size of a file in bytes."""
MAX_SCANS = 100
"""Limit of the scans in a JPEG. Encoders write about ten; each costs a pass over the whole image."""
FORMATS = ('BMP', 'JPEG', 'PNG', 'TIFF', 'WEBP')
"""Formats that are read, by Pillow's names. MPO, a JPEG of several images, counts as JPEG."""


_PIECE = 1 << 16
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def decode_image(
    content: bytes, name: str, *, max_pixels: int = MAX_PIXELS, bit_depth: int | None = None
) -> NDArray[np.uint8]:
    """Decode an image and rotate it by its EXIF orientation; gray, 16-bit and CMYK images become 8-bit colors.

    Without their depth, levels of 10, 12 or 14 bits in a file of 16 bits are seen by their largest one.

    Args:
        content: The content of a file.
        name: Name of the image in errors.
        max_pixels: Limit of the pixels.
        bit_depth: Bits of the levels in a file of 16 bits, 8 to 16.

    Returns:
        BGR image, (H, W, 3).

    Raises:
        ValueError: The content is empty, no image, in a format that is not read, cut short, damaged or too large, has
            levels above its depth, or takes far more work to decode than its pixels need. The message names the image.
    """
    if (family := format_of(content)) not in (PICTURE, None):
        raise ValueError(f'{name} is a {family}, which is not read here: convert it, to PNG or TIFF for example')
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as header:
            (width, height), kind = header.size, header.format or ''
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        # Pillow names the stream by its address in memory, which tells nobody anything.
        reason = '' if isinstance(error, UnidentifiedImageError) else f' ({reason_of(error)})'
        why = 'it is empty' if not content else f'expected one of {", ".join(FORMATS)}, complete{reason}'
        raise ValueError(f'{name} is not a readable image: {why}') from error
    if width * height > max_pixels:
        raise ValueError(f'{name} has {width} x {height} pixels: expected at most {max_pixels}; reduce it')
    if not _is_whole(content, kind):
        raise ValueError(f'{name} is not a readable image: it is cut short, its end marker is missing')
    if kind in ('JPEG', 'MPO') and (scans := content.count(b'\xff\xda')) > MAX_SCANS:
        raise ValueError(f'{name} has {scans} scans: expected at most {MAX_SCANS}; save it anew')
    if kind == 'PNG':
        _check_png(content, (width, height), name)
    try:
        decode = _decode_large if width * height > LARGE_PIXELS else _decode
        image = decode(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if image is not None and image.dtype not in (np.uint8, np.uint16):
            image = decode(content, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f'{name} is not a readable image: {reason_of(error)}') from error
    if image is None:
        raise ValueError(f'{name} is not a readable image: it is damaged, or a kind of {kind} that OpenCV cannot read')
    return _in_8_bits(image, bit_depth, name)


def pixels_of(file: BinaryIO) -> int | None:
    """Return the pixels of a picture by its header alone; ``None`` if that does not tell them.

    Args:
        file: The open file. :func:`decode_image` says what is wrong with it.
    """
    try:
        with Image.open(file, formats=FORMATS) as header:
            return int(header.size[0] * header.size[1])
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _decode(content: bytes, flags: int) -> NDArray[Any] | None:
    return cv2.imdecode(np.frombuffer(content, np.uint8), flags)


def _decode_large(content: bytes, flags: int) -> NDArray[Any] | None:
    """Decode with the memory for one image: OpenCV copies what it decodes from memory, but not what it reads by name.

    The name is that of a file in memory. Systems without, and OpenCV before 4.11, take the memory for two images.
    """
    if not hasattr(os, 'memfd_create') or not Path('/proc/self/fd').exists():
        return _decode(content, flags)
    with os.fdopen(os.memfd_create('image'), 'wb') as file:
        try:
            file.write(content)
            file.flush()
            return cv2.imread(f'/proc/self/fd/{file.fileno()}', None, flags)
        except (OSError, TypeError, cv2.error):  # a limit of the size of files, or an older OpenCV
            return _decode(content, flags)


def _in_8_bits(image: NDArray[Any], bit_depth: int | None, name: str) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return np.asarray(image, np.uint8)
    bits = depth_of(int(image.max(initial=0)), bit_depth, name)
    return np.asarray(image >> (bits - 8), np.uint8)


def _is_whole(content: bytes, kind: str) -> bool:
    """Return whether the end marker is there, because decoders make up missing data; data after it is harmless."""
    if kind == 'PNG':
        return b'IEND' in content
    # Scan data cannot contain a marker, so the end marker comes after the start of the last scan.
    return kind not in ('JPEG', 'MPO') or content.rfind(b'\xff\xd9') > content.rfind(b'\xff\xda')


def _check_png(content: bytes, size: tuple[int, int], name: str) -> None:
    """Refuse a PNG that holds more data than its pixels; libpng would inflate all of it, 1 GB from each MB of zeros.

    Raises:
        ValueError: The PNG holds more data, is animated, or its header is damaged.
    """
    width, height, depth, colors = struct.unpack('>IIBB', content[16:26])
    if content[12:16] != b'IHDR' or (width, height) != size:
        raise ValueError(f'{name} is not a readable image: its header is damaged')
    rows = height * (-(-width * depth * _PNG_CHANNELS.get(colors, 4) // 8) + 1)
    # Interlacing makes up to seven times as many rows, each with a filter byte and up to one byte of padding.
    allowed, inflater = rows + 14 * height + 1024, zlib.decompressobj()
    for kind, data in _png_chunks(content):
        if kind == b'acTL':
            raise ValueError(f'{name} is an animated PNG: expected a single image')
        for start in range(0, len(data) if kind == b'IDAT' else 0, _PIECE):
            piece = bytes(data[start : start + _PIECE])
            while piece and not inflater.eof:
                try:
                    allowed -= len(inflater.decompress(piece, _PIECE))
                except zlib.error as error:
                    raise ValueError(f'{name} is not a readable image: it is damaged ({error})') from error
                if allowed < 0:
                    raise ValueError(f'{name} holds more data than its {width} x {height} pixels: save it anew')
                piece = inflater.unconsumed_tail


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the kind and the data of each chunk of a PNG, up to its end."""
    view, at = memoryview(content), 8
    while at + 8 <= len(view):
        length, kind = int.from_bytes(view[at : at + 4], 'big'), bytes(view[at + 4 : at + 8])
        yield kind, view[at + 8 : at + 8 + length]
        if kind == b'IEND':
            return
        at += 12 + length
