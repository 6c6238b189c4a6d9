"""Raw photographs and FITS images as cameras write them, made by the tests."""

import io
import struct

import numpy as np
from astropy.io import fits

BYTE, ASCII, SHORT, LONG, RATIONAL, SRATIONAL = 1, 2, 3, 4, 5, 10
_CODES = {BYTE: 'B', SHORT: 'H', LONG: 'L', RATIONAL: 'L', SRATIONAL: 'l'}

XYZ_TO_SRGB = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
"""IEC 61966-2-1; as the color matrix of a camera it makes a camera whose colors are those of sRGB."""


def mosaic(colors, pattern='RGGB'):
    """Return what a sensor behind a Bayer filter measures of an RGB image, (H, W)."""
    rows, columns = np.indices(colors.shape[:2])
    channel = np.array(['RGB'.index(letter) for letter in pattern]).reshape(2, 2)[rows % 2, columns % 2]
    return np.take_along_axis(colors, channel[..., None], 2)[..., 0]


def fits_bytes(data, *, compressed=False, **keywords):
    """Return a FITS file with an image."""
    header = fits.Header()
    for keyword, value in keywords.items():
        header[keyword.replace('_', '-')] = value
    image = fits.CompImageHDU(data, header) if compressed else fits.PrimaryHDU(data, header)
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), image] if compressed else [image]).writeto(stream)
    return stream.getvalue()


def dng_bytes(levels, *, pattern='RGGB', black=0, white=65535, neutral=(1, 1, 1), orientation=1, exif=(), gps=()):
    """Return a DNG 1.4 with one strip of levels of 16 bits, (H, W), written tag by tag.

    Args:
        levels: Levels behind the Bayer filter.
        pattern: Colors of its upper left pixels.
        black: Level of black.
        white: Largest level.
        neutral: Color of a neutral surface, of which the white balance is the inverse.
        orientation: As in EXIF.
        exif: Tags of the exposure: number, kind and values.
        gps: Tags of the position.
    """
    height, width = levels.shape
    tags = [
        (254, LONG, [0]),
        (256, LONG, [width]),
        (257, LONG, [height]),
        (258, SHORT, [16]),
        (259, SHORT, [1]),
        (262, SHORT, [32803]),  # color filter array
        (271, ASCII, 'Maker'),
        (272, ASCII, 'Camera'),
        (273, LONG, [0]),  # replaced below
        (274, SHORT, [orientation]),
        (277, SHORT, [1]),
        (278, LONG, [height]),
        (279, LONG, [levels.size * 2]),
        (284, SHORT, [1]),
        (33421, SHORT, [2, 2]),
        (33422, BYTE, ['RGB'.index(letter) for letter in pattern]),
        (50706, BYTE, [1, 4, 0, 0]),
        (50708, ASCII, 'Maker Camera'),
        (50714, LONG, [black]),
        (50717, LONG, [white]),
        (50721, SRATIONAL, [part for row in XYZ_TO_SRGB for one in row for part in (round(one * 10000), 10000)]),
        (50728, RATIONAL, [part for one in neutral for part in (round(one * 10000), 10000)]),
        (50778, SHORT, [21]),  # D65
    ]
    return tiff_bytes(tags, np.ascontiguousarray(levels, '<u2').tobytes(), exif=exif, gps=gps)


def tiff_bytes(tags, strip, *, exif=(), gps=()):
    """Return a TIFF (TIFF 6.0, section 2) with one strip at its end; tag 273 is replaced by where the strip begins."""
    parts = {number: part for number, part in ((34665, exif), (34853, gps)) if part}
    whole = {tag[0]: tag for tag in tags} | {number: (number, LONG, [0]) for number in parts}
    at = 8 + len(_directory(whole.values(), 0))
    below = b''
    for number, part in parts.items():
        whole[number] = (number, LONG, [at + len(below)])
        below += _directory(part, at + len(below))
    whole[273] = (273, LONG, [at + len(below)])
    return b'II*\0' + struct.pack('<L', 8) + _directory(whole.values(), 8) + below + strip


def _directory(tags, at):
    """Return a directory of tags that begins at an offset, with the values that do not fit in four bytes behind it."""
    entries, values = b'', b''
    behind = at + 2 + 12 * len(tags) + 4
    for number, kind, given in sorted(tags):
        packed = given.encode() + b'\0' if kind == ASCII else struct.pack(f'<{len(given)}{_CODES[kind]}', *given)
        count = len(packed) if kind == ASCII else len(given) // (2 if kind in (RATIONAL, SRATIONAL) else 1)
        if len(packed) > 4:
            inside, values = struct.pack('<L', behind + len(values)), values + packed + bytes(len(packed) % 2)
        else:
            inside = packed.ljust(4, b'\0')
        entries += struct.pack('<HHL', number, kind, count) + inside
    return struct.pack('<H', len(tags)) + entries + bytes(4) + values
