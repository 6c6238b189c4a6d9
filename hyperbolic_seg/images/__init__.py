"""Safe decoding of image files: pictures, and what cameras write besides, FITS and raw photographs."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.images.any_format import decode_any
    from hyperbolic_seg.images.fits import decode_fits, read_header
    from hyperbolic_seg.images.formats import FITS, PICTURE, RAW, check_format, format_of
    from hyperbolic_seg.images.levels import Levels
    from hyperbolic_seg.images.pictures import FORMATS, MAX_BYTES, MAX_PIXELS, MAX_SCANS, decode_image, pixels_of
    from hyperbolic_seg.images.raw import decode_raw
    from hyperbolic_seg.images.reading import read_file
    from hyperbolic_seg.images.sizes import (
        LARGE_PIXELS,
        REDUCED_PIXELS,
        image_within,
        labels_at,
        reduced_image,
        reduced_size,
        resized,
    )
    from hyperbolic_seg.images.stretch import develop

__all__ = [
    'FITS',
    'FORMATS',
    'LARGE_PIXELS',
    'MAX_BYTES',
    'MAX_PIXELS',
    'MAX_SCANS',
    'PICTURE',
    'RAW',
    'REDUCED_PIXELS',
    'Levels',
    'check_format',
    'decode_any',
    'decode_fits',
    'decode_image',
    'decode_raw',
    'develop',
    'format_of',
    'image_within',
    'labels_at',
    'pixels_of',
    'read_file',
    'read_header',
    'reduced_image',
    'reduced_size',
    'resized',
]
__getattr__ = attach(
    __name__,
    dict(
        FITS='formats',
        FORMATS='pictures',
        LARGE_PIXELS='sizes',
        Levels='levels',
        MAX_BYTES='pictures',
        MAX_PIXELS='pictures',
        MAX_SCANS='pictures',
        PICTURE='formats',
        RAW='formats',
        REDUCED_PIXELS='sizes',
        check_format='formats',
        decode_any='any_format',
        decode_fits='fits',
        decode_image='pictures',
        decode_raw='raw',
        develop='stretch',
        format_of='formats',
        image_within='sizes',
        labels_at='sizes',
        pixels_of='pictures',
        read_file='reading',
        read_header='fits',
        reduced_image='sizes',
        reduced_size='sizes',
        resized='sizes',
    ),
)
