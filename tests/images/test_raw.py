"""Raw photographs: DNGs that the tests write tag by tag, developed beside LibRaw's own pictures."""

import io

import cv2
import numpy as np
import pytest
import rawpy
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperbolic_seg.images import decode_raw
from tests.photographs import dng_bytes, mosaic

COLORS = np.kron(np.random.default_rng(0).integers(12000, 60000, (3, 4, 3)), np.ones((16, 16, 1))).astype(np.uint16)
CONTENT = dng_bytes(mosaic(COLORS))


def shown(content):
    with rawpy.imread(io.BytesIO(content)) as raw:
        options = dict(gamma=(2.4, 12.92), no_auto_bright=True, adjust_maximum_thr=0.0, use_camera_wb=True)
        return raw.postprocess(**options)[..., ::-1]


@pytest.mark.parametrize('pattern', ['RGGB', 'BGGR', 'GRBG', 'GBRG'])
def test_a_bright_photograph_is_what_libraw_shows_as_srgb(pattern):
    content = dng_bytes(mosaic(COLORS, pattern), pattern=pattern)
    found = decode_raw(content, 'a.dng')
    assert found.dtype == np.uint8 and np.abs(found.astype(int) - shown(content)).max() <= 1
    middles = found[8::16, 8::16, ::-1] / 255
    light = np.where(middles <= 0.04045, middles / 12.92, ((middles + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    assert np.abs(light * 65535 - COLORS[8::16, 8::16]).max() < 600


def test_black_white_and_balance_of_the_camera_are_applied():
    """12 bits above a black level, as of a Raspberry Pi, with a sensor that sees half of the red."""
    sensor = 256 + COLORS / 65535 * (4095 - 256) * (0.5, 1, 1)
    levels = mosaic(np.rint(sensor).astype(np.uint16))
    found = decode_raw(dng_bytes(levels, black=256, white=4095, neutral=(0.5, 1, 1)), 'a.dng')
    middles = np.s_[8::16, 8::16]
    assert np.abs(found[middles].astype(int) - shown(CONTENT)[middles]).max() <= 6


@pytest.mark.parametrize('orientation, turn', [(3, cv2.ROTATE_180), (6, cv2.ROTATE_90_CLOCKWISE)])
def test_the_orientation_is_applied_once(orientation, turn):
    upright = decode_raw(CONTENT, 'a.dng')
    turned = decode_raw(dng_bytes(mosaic(COLORS), orientation=orientation), 'a.dng')
    assert np.array_equal(turned, cv2.rotate(upright, turn))


def test_a_large_photograph_is_refused_before_it_is_unpacked():
    with pytest.raises(ValueError, match=r'^a\.dng has 64 x 48 pixels: expected at most 1000; reduce it'):
        decode_raw(CONTENT, 'a.dng', max_pixels=1000)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 0.99))
def test_a_photograph_cut_short_is_refused_by_name(share):
    with pytest.raises(ValueError, match=r'^a\.dng is not a readable raw photograph: ') as caught:
        decode_raw(CONTENT[: int(share * len(CONTENT))], 'a.dng')
    assert "b'" not in str(caught.value) and ' at 0x' not in str(caught.value)
