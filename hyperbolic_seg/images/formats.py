"""Families of formats, by content and by name: pictures, FITS images and raw photographs."""

import io
import struct
import zlib
from collections.abc import Iterator

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from hyperbolic_seg.files import FITS_SUFFIXES, PICTURE_SUFFIXES, RAW_SUFFIXES

PICTURE, FITS, RAW = 'picture', 'FITS image', 'raw photograph'
"""Families: ready to look at; with the levels of a sensor, as astronomers or as photographers store them."""

_SIMPLE = b'SIMPLE  ='  # FITS standard 4.0, section 4.4.1
_GZIP = b'\x1f\x8b'
_TIFF = (b'II*\0', b'MM\0*')
_PICTURES = (b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'BM', b'RIFF', b'GIF8')
_RAWS = (b'FUJIFILMCCD-RAW', b'IIRO', b'IIRS', b'MMOR', b'IIU\0')  # RAF, ORF (three), RW2
_DNG_VERSION, _SUB_IFDS, _PHOTOMETRIC = 50706, 330, 262
_SENSOR = (32803, 34892)  # photometric interpretations of DNG 1.4: color filter array, linear raw
_MOST_IFDS = 16


def format_of(content: bytes) -> str | None:
    """Return the family of a content: one of :data:`PICTURE`, :data:`FITS` and :data:`RAW`; ``None`` if unknown."""
    if content.startswith(_SIMPLE) or (content.startswith(_GZIP) and _unzipped_start(content).startswith(_SIMPLE)):
        return FITS
    if content.startswith(_RAWS) or content[4:12] == b'ftypcrx ' or _is_raw_tiff(content):
        return RAW
    return PICTURE if content.startswith((*_PICTURES, *_TIFF)) else None


def check_format(content: bytes, name: str) -> str:
    """Return the family of a file; by its name where the content tells nothing.

    Args:
        content: Content of the file.
        name: Its name, with or without a suffix.

    Raises:
        ValueError: The name has the suffix of another family than the content.
    """
    found, named = format_of(content), _family_of(name)
    if found and named and found != named:
        expected = {PICTURE: '.jpg or .png', FITS: '.fits', RAW: '.dng'}[found]
        raise ValueError(
            f'{name} is a {found} by its content, and its name is that of a {named}: rename it, to one that ends in '
            f'{expected} for example'
        )
    return found or named or PICTURE


def _family_of(name: str) -> str | None:
    families = ((FITS, FITS_SUFFIXES), (RAW, RAW_SUFFIXES), (PICTURE, PICTURE_SUFFIXES))
    return next((family for family, suffixes in families if name.lower().endswith(suffixes)), None)


def _unzipped_start(content: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(content[:4096], len(_SIMPLE))  # 31: with the header of gzip
    except zlib.error:
        return b''


def _is_raw_tiff(content: bytes) -> bool:
    """Return whether a TIFF holds the levels of a sensor, as DNG, CR2, NEF and ARW do."""
    if not content.startswith(_TIFF):
        return False
    if content[8:10] == b'CR':
        return True
    return any(_DNG_VERSION in tags or tags.get(_PHOTOMETRIC) in _SENSOR for tags in _tags(content))


def _tags(content: bytes) -> Iterator[ImageFileDirectory_v2]:
    """Yield the first directory of a TIFF, and those below it; it ends where they are damaged."""
    try:
        first = ImageFileDirectory_v2(content[:8])
        waiting, stream = [first.next], io.BytesIO(content)
        for _ in range(_MOST_IFDS):
            if not waiting:
                return
            stream.seek(waiting.pop(0))
            tags = ImageFileDirectory_v2(content[:8])
            tags.load(stream)
            below = tags.get(_SUB_IFDS, ())
            waiting += [at for at in (below if isinstance(below, tuple) else (below,)) if isinstance(at, int)]
            yield tags
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, struct.error):
        return
