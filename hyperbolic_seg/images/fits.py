"""Decoding of FITS images (FITS standard 4.0): mono, behind a Bayer filter, or of three planes."""

import gzip
import io
import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import printable, reason_of
from hyperbolic_seg.images.levels import Levels, depth_of
from hyperbolic_seg.images.pictures import MAX_BYTES, MAX_PIXELS
from hyperbolic_seg.images.stretch import develop

_FULL = 2**16 - 1
_GZIP = b'\x1f\x8b'
_CUT = 'File may have been truncated'
_START = 2**20  # bytes that hold the header of the first image
_PIXELS = ('BAYERPAT', 'COLORTYP', 'XBAYROFF', 'YBAYROFF', 'ROWORDER')
"""Keywords that say what the pixels are."""
_BAYER = {
    'RGGB': cv2.COLOR_BayerRGGB2BGR,
    'BGGR': cv2.COLOR_BayerBGGR2BGR,
    'GRBG': cv2.COLOR_BayerGRBG2BGR,
    'GBRG': cv2.COLOR_BayerGBRG2BGR,
}
_NO_BAYER = ('', 'NONE', 'N/A', 'MONO', 'FALSE')
_ROW_ORDERS = ('TOP-DOWN', 'BOTTOM-UP')
_DARKEST = 0.1  # percent of the pixels that may be below black
_HIGHEST_BLACK = 1 / 16  # of the largest level: 256 of 4095, the highest among common sensors
_ENOUGH = 1_000_000  # levels for a percentile
_FEWEST = 4  # pixels of a side; a Bayer filter has two


class FitsError(ValueError):
    """A FITS file that is refused, with a message that names it."""


def decode_fits(
    content: bytes, name: str, *, max_pixels: int = MAX_PIXELS, levels: Levels | None = None
) -> NDArray[np.uint8]:
    """Decode the first image of a FITS file and develop it by :func:`~hyperbolic_seg.images.develop`.

    The first row is the upper one, as drivers of cameras write it, unless ``ROWORDER`` is ``BOTTOM-UP``. ``BAYERPAT``
    or ``COLORTYP`` name the colors of the upper left pixels, moved by ``XBAYROFF`` and ``YBAYROFF``, as Siril reads
    them. Levels are shares of 65535, of 255 in files of 8 bits, or of the bit depth of the camera; floating-point
    levels up to 1 are shares of 1. Black is the level below which 0.1 percent of the pixels lie, at most 1/16. Three
    planes of 8 bits are a finished picture, and not developed.

    Args:
        content: The content of a file, also compressed by gzip, or in compressed tiles.
        name: Name of the image in errors.
        max_pixels: Limit of the pixels.
        levels: What is known of the levels of the camera.

    Returns:
        BGR image, (H, W, 3).

    Raises:
        ValueError: It is no FITS file, has no image, one of another kind or too large, or is cut short or damaged. The
            message names it.
        ImportError: astropy is not installed.
    """
    levels = levels or Levels()
    with _opened(io.BytesIO(_unzipped(content, name, max_pixels)), name) as hdus:
        image = _first_image(hdus, name)
        _check_shape(image.header, name, max_pixels)
        planes = np.asarray(image.data).reshape(-1, *_shape(image.header)[-2:])
        header = _values(image.header, _PIXELS)
    if _row_order(header, name) == 'BOTTOM-UP':
        planes = planes[:, ::-1]
    if planes.dtype == np.uint8 and len(planes) == 3:
        return np.ascontiguousarray(np.moveaxis(planes, 0, 2)[..., ::-1])
    full = _full_scale(planes, levels.bit_depth, name)
    light = _without_black(planes, full)
    if len(planes) == 3:
        colors = np.ascontiguousarray(np.moveaxis(light, 0, 2)[..., ::-1])
    elif (pattern := _bayer_pattern(header, name)) is not None:
        colors = cv2.cvtColor(light[0], _BAYER[pattern])
    else:
        return develop(cv2.cvtColor(light[0], cv2.COLOR_GRAY2BGR), step=_FULL / full)
    return develop(_balanced(colors, levels.white_balance), step=_FULL / full)


def read_header(stream: BinaryIO, name: str, keywords: tuple[str, ...]) -> dict[str, Any]:
    """Return keywords of the first image of a FITS file, or else of its primary header, where they are present.

    Args:
        stream: The file.
        name: Name of the file in errors.
        keywords: The keywords.

    Raises:
        ValueError: It is no FITS file, has no image, or is damaged.
        ImportError: astropy is not installed.
    """
    with _opened(stream, name) as hdus:
        return _values(hdus[0].header, keywords) | _values(_first_image(hdus, name).header, keywords)


@contextmanager
def _opened(stream: BinaryIO, name: str) -> Iterator[Any]:
    """Open a FITS file, or the first mebibyte of one that is compressed by gzip; yield its HDUs, which are read lazily.

    Raises:
        FitsError: It is no FITS file, or is found damaged before the end of the context.
        ImportError: astropy is not installed.

    Warns:
        UserWarning: astropy warns of the header of a file that it can read.
    """
    try:
        from astropy.io import fits
    except ImportError as error:
        raise ImportError(f"{name}: FITS images need astropy: pip install 'hyperbolic-seg[app]'") from error

    is_zipped = stream.read(len(_GZIP)) == _GZIP
    stream.seek(0)
    try:
        with warnings.catch_warnings(record=True) as caught:  # astropy prints parts of the header as they are
            warnings.simplefilter('always')
            source = io.BytesIO(gzip.GzipFile(fileobj=stream).read(_START)) if is_zipped else stream
            with fits.open(source, memmap=False, lazy_load_hdus=True) as hdus:
                yield hdus
    except (FitsError, MemoryError):
        raise
    except Exception as error:  # damage causes a dozen kinds, that of compressed tiles without a public name
        raise _damaged(name, error) from error
    messages = dict.fromkeys(reason_of(warning.message) for warning in caught)
    for message in messages:
        if not (is_zipped and message.startswith(_CUT)):
            warnings.warn(f'{name}: {message}', stacklevel=3)


def _unzipped(content: bytes, name: str, max_pixels: int) -> bytes:
    """Return a file that is compressed by gzip up to the end of its first image, if that is not too large.

    Raises:
        FitsError: It is too large, or damaged.
    """
    if not content.startswith(_GZIP):
        return content
    with _opened(io.BytesIO(content), name) as hdus:
        image = _first_image(hdus, name)
        _check_shape(image.header, name, max_pixels)
        place = image.fileinfo()
        end = min(place['datLoc'] + place['datSpan'], MAX_BYTES)
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(content)).read(end)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> FitsError:
    return FitsError(f'{name} is not a readable FITS image: it is cut short or damaged ({reason_of(error)})')


def _values(header: Any, keywords: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of those keywords that have one."""
    found = {keyword: header[keyword] for keyword in keywords if keyword in header}
    return {keyword: value for keyword, value in found.items() if isinstance(value, (bool, int, float, str))}


def _first_image(hdus: Any, name: str) -> Any:
    for hdu in hdus:
        if hdu.is_image and len(_shape(hdu.header)) > 1:
            return hdu
    raise FitsError(f'{name} is a FITS file without an image: expected a header and data of two or three axes')


def _shape(header: Any) -> tuple[int, ...]:
    """Return the shape of the data, slowest axis first, without axes of length 1 before the last two."""
    shape = [int(header[f'NAXIS{axis}']) for axis in range(header['NAXIS'], 0, -1)]
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return tuple(shape)


def _check_shape(header: Any, name: str, max_pixels: int) -> None:
    """Refuse other kinds of images than one plane or three, and too large ones, before their data are read."""
    shape = _shape(header)
    if len(shape) > 3 or (len(shape) == 3 and shape[0] != 3):
        axes = ' x '.join(map(str, reversed(shape)))
        raise FitsError(
            f'{name} has {axes} levels: expected width x height, or width x height x 3 for red, green and blue'
        )
    height, width = shape[-2:]
    if min(height, width) < _FEWEST:
        raise FitsError(f'{name} has {width} x {height} pixels: expected at least {_FEWEST} x {_FEWEST}')
    if width * height > max_pixels:
        raise FitsError(f'{name} has {width} x {height} pixels: expected at most {max_pixels}; reduce it')
    if (size := math.prod(shape) * abs(int(header['BITPIX'])) // 8) > MAX_BYTES:
        raise FitsError(f'{name} unpacks to {size} bytes: expected at most {MAX_BYTES}; reduce it')


def _row_order(header: dict[str, Any], name: str) -> str:
    order = str(header.get('ROWORDER', '')).strip().upper() or _ROW_ORDERS[0]
    if order not in _ROW_ORDERS:
        raise FitsError(f'{name} has ROWORDER {printable(order)}: expected {" or ".join(_ROW_ORDERS)}')
    return order


def _bayer_pattern(header: dict[str, Any], name: str) -> str | None:
    """Return the colors of the upper left four pixels; ``None`` for an image without a filter.

    ``COLORTYP`` has other meanings too, so that it counts only where it is a pattern.
    """
    pattern, other = (str(header.get(keyword, '')).strip().upper() for keyword in ('BAYERPAT', 'COLORTYP'))
    if pattern in _NO_BAYER:
        pattern = other if other in _BAYER else ''
    if not pattern:
        return None
    if pattern not in _BAYER:
        raise FitsError(
            f'{name} has BAYERPAT {printable(pattern)}: expected one of {", ".join(_BAYER)}; convert it, for example '
            'to TIFF'
        )
    offsets = [header.get(keyword, 0) for keyword in ('XBAYROFF', 'YBAYROFF')]
    if any(isinstance(offset, str) or offset != int(offset) for offset in offsets):
        raise FitsError(f'{name} has XBAYROFF and YBAYROFF {printable(offsets)}: expected whole numbers')
    right, down = (int(offset) % 2 for offset in offsets)
    rows = np.roll(np.array(list(pattern)).reshape(2, 2), (-down, -right), (0, 1))
    return ''.join(rows.ravel())


def _full_scale(planes: NDArray[Any], bit_depth: int | None, name: str) -> float:
    """Return the largest level that the camera can write.

    Raises:
        FitsError: A level is negative, larger than that, or no number.
    """
    least, largest = float(planes.min()), float(planes.max())
    if not (np.isfinite(least) and np.isfinite(largest)):
        raise FitsError(f'{name} has pixels that are no number (NaN or BLANK): expected a level in each')
    if planes.dtype.kind == 'f' and largest <= 1:
        return 1.0
    if planes.dtype.kind != 'f' and least < 0:
        raise FitsError(f'{name} has negative levels, down to {least:.0f}: is BZERO missing in its header?')
    if largest > _FULL:
        raise FitsError(f'{name} has levels up to {largest:.0f}: expected at most {_FULL}; scale them')
    if planes.dtype == np.uint8:
        return 255.0
    return float(2 ** depth_of(int(largest), bit_depth or 16, name) - 1)


def _without_black(planes: NDArray[Any], full: float) -> NDArray[np.uint16]:
    """Return light from 0, for black, to 65535, for the largest level, (1 or 3, H, W)."""
    some = planes.ravel()[:: max(1, planes.size // _ENOUGH)]
    black = min(max(0.0, float(np.percentile(some, _DARKEST))), _HIGHEST_BLACK * full)
    light = planes.astype(np.float32)
    light -= np.float32(black)
    light *= np.float32(_FULL / (full - black))
    return np.rint(np.clip(light, 0, _FULL, out=light), out=light).astype(np.uint16)


def _balanced(light: NDArray[np.uint16], factors: tuple[float, float]) -> NDArray[np.uint16]:
    """Return a BGR image with red and blue multiplied by a factor each, in place."""
    red, blue = factors
    for channel, factor in ((0, blue), (2, red)):  # one after the other: both in float take much memory
        if factor != 1.0:
            scaled = light[..., channel] * np.float32(factor)
            light[..., channel] = np.rint(np.minimum(scaled, _FULL, out=scaled), out=scaled)
    return light
