"""What a file is, by its content and by its name."""

import gzip
import io

import numpy as np
import pytest
from PIL import Image

from hyperbolic_seg.datasets import read_image
from hyperbolic_seg.images import FITS, PICTURE, RAW, decode_any, decode_image, format_of
from tests.photographs import dng_bytes, fits_bytes

LEVELS = np.full((32, 48), 30000, np.uint16)

NO_IMAGES = [b'', b'no image', b'\x1f\x8bno gzip', b'II*\0', b'II*\0\xff\xff\xff\xff', b'SIMPLE']


def picture(kind, **options):
    stream = io.BytesIO()
    Image.new('RGB', (48, 32), (90, 140, 200)).save(stream, kind, **options)
    return stream.getvalue()


FILES = {
    'a.fits': fits_bytes(LEVELS),
    'a.fit.gz': gzip.compress(fits_bytes(LEVELS)),
    'a.FTS.fz': fits_bytes(LEVELS, compressed=True),
    'a.DNG': dng_bytes(LEVELS),
    'a.jpg': picture('JPEG'),
    'a.png': picture('PNG'),
    'a.tif': picture('TIFF'),
    'a.webp': picture('WEBP'),
    'a.bmp': picture('BMP'),
}
FAMILIES = dict.fromkeys(FILES, PICTURE) | {'a.fits': FITS, 'a.fit.gz': FITS, 'a.FTS.fz': FITS, 'a.DNG': RAW}


@pytest.mark.parametrize('name', [*FILES])
def test_content_tells_the_family_whatever_the_name(name):
    assert format_of(FILES[name]) == FAMILIES[name]
    assert decode_any(FILES[name], name).shape == decode_any(FILES[name], 'without suffix').shape == (32, 48, 3)


@pytest.mark.parametrize('name', [*FILES])
@pytest.mark.parametrize('other', [*FILES])
def test_a_name_of_another_family_is_said_to_be_so(name, other, tmp_path):
    (tmp_path / other).write_bytes(FILES[name])
    if FAMILIES[name] == FAMILIES[other]:
        assert read_image(str(tmp_path / other)).shape == (32, 48, 3)
        return
    with pytest.raises(ValueError, match=f'{other} is a {FAMILIES[name]} by its content, .* of a {FAMILIES[other]}'):
        read_image(str(tmp_path / other))


@pytest.mark.parametrize('name', ['a.fits', 'a.fit.gz', 'a.DNG'])
def test_where_pictures_alone_are_read_the_others_are_refused_with_a_mend(name):
    with pytest.raises(ValueError, match=f'^the upload is a {FAMILIES[name]}, which is not read here: convert it'):
        decode_image(FILES[name], 'the upload')


@pytest.mark.parametrize(
    'content', [b'', b'no image', b'\x1f\x8bno gzip', b'II*\0', b'II*\0\xff\xff\xff\xff', b'SIMPLE']
)
@pytest.mark.parametrize('name', ['a.fits', 'a.fits.gz', 'a.dng', 'a.cr3', 'a.jpg', 'a'])
def test_what_is_no_image_is_refused_without_an_address_in_memory(content, name):
    with pytest.raises(ValueError, match=f'^{name} is ') as caught:
        decode_any(content, name)
    assert ' at 0x' not in str(caught.value) and 'object' not in str(caught.value)
