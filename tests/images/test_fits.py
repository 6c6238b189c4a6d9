"""FITS images as cameras, astronomers and broken disks write them."""

import gzip
import io
import tracemalloc

import numpy as np
import pytest
import rawpy
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperbolic_seg.images import Levels, decode_fits, read_header
from tests.photographs import dng_bytes, fits_bytes, mosaic

COLORS = np.empty((40, 60, 3), np.uint16)  # four patches in full light, so that nothing is brightened
COLORS[:20, :30], COLORS[:20, 30:] = (60000, 30000, 9000), (9000, 60000, 30000)
COLORS[20:, :30], COLORS[20:, 30:] = (30000, 9000, 60000), (60000, 60000, 60000)
COLORS[:2, :2] = 0  # black, so that black is where it is
INSIDE = np.ix_([8, 12, 28, 32], [10, 20, 40, 50])  # away from the edges of the patches
FULL = 65535


def shown(light):
    """Return what LibRaw shows of the same light, by its own transfer function of sRGB: the outside opinion."""

    with rawpy.imread(io.BytesIO(dng_bytes(mosaic(light)))) as raw:
        options = dict(gamma=(2.4, 12.92), no_auto_bright=True, adjust_maximum_thr=0.0, use_camera_wb=True)
        return raw.postprocess(**options)


@pytest.fixture(scope='module')
def expected():
    return shown(COLORS)[INSIDE]


def near(found, expected, tolerance=2):
    assert found.dtype == np.uint8
    assert np.abs(found[..., ::-1][INSIDE].astype(int) - expected.astype(int)).max() <= tolerance


@pytest.mark.parametrize('pattern', ['RGGB', 'BGGR', 'GRBG', 'GBRG'])
@pytest.mark.parametrize('keyword', ['BAYERPAT', 'COLORTYP'])
def test_colors_behind_each_bayer_filter_are_those_that_libraw_shows(expected, pattern, keyword):
    near(decode_fits(fits_bytes(mosaic(COLORS, pattern), **{keyword: pattern}), 'a.fits'), expected)


@pytest.mark.parametrize('right, down, actual', [(1, 0, 'GRBG'), (0, 1, 'GBRG'), (1, 1, 'BGGR'), (3, -2, 'GRBG')])
def test_offsets_move_the_filter(expected, right, down, actual):
    content = fits_bytes(mosaic(COLORS, actual), BAYERPAT='RGGB', XBAYROFF=right, YBAYROFF=down)
    near(decode_fits(content, 'a.fits'), expected)


@pytest.mark.parametrize('rows', [40, 39])
def test_the_filter_of_an_image_that_is_stored_bottom_up_is_that_of_its_upper_left_corner(expected, rows):
    """As Siril's documentation has it: RGGB is stored as GBRG in images of an even height."""
    upright = mosaic(COLORS, 'RGGB')[:rows]
    content = fits_bytes(upright[::-1], BAYERPAT='RGGB', ROWORDER='BOTTOM-UP')
    near(decode_fits(content, 'a.fits'), expected)


def test_planes_mono_and_compressed_files_are_read_alike(expected, tmp_path):
    planes = np.moveaxis(COLORS, 2, 0)
    near(decode_fits(fits_bytes(planes), 'a.fits'), expected)
    near(decode_fits(fits_bytes(planes, compressed=True), 'a.fits.fz'), expected)
    near(decode_fits(gzip.compress(fits_bytes(planes)), 'a.fits.gz'), expected)
    near(decode_fits(fits_bytes(planes.astype(np.float32)), 'a.fits'), expected)
    near(decode_fits(fits_bytes((planes / FULL).astype(np.float32)), 'a.fits'), expected)
    near(decode_fits(fits_bytes(planes[:, ::-1], ROWORDER='BOTTOM-UP'), 'a.fits'), expected)
    near(decode_fits(fits_bytes(planes.astype(np.int32)), 'a.fits'), expected)
    twelve = (planes >> 4).astype(np.int16)
    near(decode_fits(fits_bytes(twelve), 'a.fits', levels=Levels(bit_depth=12)), expected)
    mono = decode_fits(fits_bytes(COLORS[..., 1][None]), 'a.fits')
    assert (mono[..., 0] == mono[..., 2]).all()
    assert np.abs(mono[INSIDE][..., 1].astype(int) - expected[..., 1]).max() <= 2


def test_a_finished_picture_of_8_bits_is_kept():
    picture = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    found = decode_fits(fits_bytes(np.moveaxis(picture, 2, 0)), 'a.fits')
    assert np.array_equal(found[..., ::-1], picture)


def test_white_balance_multiplies_red_and_blue():
    gray = np.full((40, 60, 3), 20000, np.uint16)
    gray[:2, :2] = 0
    unbalanced = (gray / (2, 1, 1.6)).astype(np.uint16)
    content = fits_bytes(mosaic(unbalanced), BAYERPAT='RGGB')
    near(decode_fits(content, 'a.fits', levels=Levels(white_balance=(2, 1.6))), shown(gray)[INSIDE])
    plain = decode_fits(content, 'a.fits')[20, 30].astype(int)
    assert plain[1] > plain[0] + 20 and plain[1] > plain[2] + 20, 'without it green prevails'


def test_the_first_image_counts():
    first, second = np.full((8, 8), 3, np.uint8), np.full((9, 9), 200, np.uint8)
    stream = io.BytesIO()
    table = fits.BinTableHDU.from_columns([fits.Column('a', 'J', array=[1, 2])])
    hdus = [fits.PrimaryHDU(), table, fits.ImageHDU(first), fits.ImageHDU(second)]
    hdus[0].header['DATE-OBS'] = '2024-07-17T00:00:00'
    fits.HDUList(hdus).writeto(stream)
    assert decode_fits(stream.getvalue(), 'a.fits').shape == (8, 8, 3)
    assert read_header(stream, 'a.fits', ('DATE-OBS', 'NAXIS1')) == {'DATE-OBS': '2024-07-17T00:00:00', 'NAXIS1': 8}


@pytest.mark.parametrize(
    'data, keywords, message',
    [
        (np.zeros((4, 8, 8), np.uint16), {}, 'has 8 x 8 x 4 levels: expected width x height, or .* x 3'),
        (np.zeros((2, 3, 8, 8), np.uint16), {}, 'has 8 x 8 x 3 x 2 levels'),
        (np.zeros(100, np.uint16), {}, 'without an image'),
        (np.zeros((8, 2), np.uint16), {}, 'has 2 x 8 pixels: expected at least 4 x 4'),
        (np.zeros((8, 8), np.uint16), dict(BAYERPAT='CMYG'), 'has BAYERPAT CMYG: expected one of RGGB'),
        (np.zeros((8, 8), np.uint16), dict(BAYERPAT='RGGB', XBAYROFF=0.5), r'XBAYROFF and YBAYROFF \[0\.5, 0\]'),
        (np.zeros((8, 8), np.uint16), dict(BAYERPAT='RGGB', YBAYROFF='one'), "'one'.: expected whole numbers"),
        (np.zeros((8, 8), np.uint16), dict(ROWORDER='SIDEWAYS'), 'ROWORDER SIDEWAYS: expected TOP-DOWN or BOTTOM-UP'),
        (np.full((8, 8), -4, np.int16), {}, 'negative levels, down to -4: is BZERO missing'),
        (np.full((8, 8), 70000, np.int32), {}, 'levels up to 70000: expected at most 65535'),
        (np.full((8, 8), np.nan, np.float32), {}, r'no number \(NaN or BLANK\)'),
        (np.full((8, 8), np.inf, np.float32), {}, r'no number'),
    ],
)
def test_other_images_are_refused_by_name(data, keywords, message):
    with pytest.raises(ValueError, match=rf'^sky\.fits (has|is) .*{message}|^sky\.fits {message}'):
        decode_fits(fits_bytes(data, **keywords), 'sky.fits')


def test_a_level_above_the_depth_of_the_camera_is_refused_naming_both():
    with pytest.raises(ValueError, match=r'a\.fits has levels up to 4096, and bit_depth: 12 holds up to 4095'):
        decode_fits(fits_bytes(np.full((8, 8), 4096, np.uint16)), 'a.fits', levels=Levels(bit_depth=12))


def test_a_large_image_is_refused_by_its_header():
    content = fits_bytes(np.zeros((64, 64), np.uint16))
    with pytest.raises(ValueError, match='has 64 x 64 pixels: expected at most 1000; reduce it'):
        decode_fits(content, 'a.fits', max_pixels=1000)
    sides = {b'NAXIS1  =                   64': b'NAXIS1  =                10000'}
    sides[b'NAXIS2  =                   64'] = b'NAXIS2  =               100000'
    for one, other in sides.items():
        assert content.count(one) == 1
        content = content.replace(one, other)
    bomb = gzip.compress(content + bytes(2**24))
    tracemalloc.start()
    for packed in (content, bomb):
        with pytest.raises(ValueError, match='has 10000 x 100000 pixels'):
            decode_fits(packed, 'a.fits')
    with pytest.raises(ValueError, match='unpacks to 2000000000 bytes'):
        decode_fits(content, 'a.fits', max_pixels=10**10)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


WHOLE = {
    'a.fits': fits_bytes(mosaic(COLORS), BAYERPAT='RGGB'),
    'a.fits.fz': fits_bytes(mosaic(COLORS), compressed=True),
    'a.fits.gz': gzip.compress(fits_bytes(mosaic(COLORS))),
}


@pytest.mark.filterwarnings('ignore::UserWarning')  # of astropy, in files that can be read nevertheless
@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from([*WHOLE]), share=st.floats(0, 1), noise=st.binary(max_size=40))
def test_cut_and_damaged_files_are_refused_by_name(name, share, noise):
    """Or read, where the damage is to levels, which nobody can see, or to the padding at the end."""
    content = WHOLE[name]
    at = int(share * len(content))
    for broken in (content[:at], content[:at] + noise + content[at + len(noise) :]):
        try:
            assert decode_fits(broken, name).shape == COLORS.shape
        except ValueError as error:
            assert name in str(error) and ' at 0x' not in str(error)


@pytest.mark.parametrize('name', [*WHOLE])
def test_half_a_file_is_refused(name):
    content = WHOLE[name]
    with pytest.raises(ValueError, match='is not a readable FITS image: it is cut short or damaged'):
        decode_fits(content[: len(content) // 2], name)
