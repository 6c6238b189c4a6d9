"""Development of linear light: frames of the day as sRGB, faint ones brighter, and noise alone dark."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperbolic_seg.images import Levels, decode_fits, develop
from tests.photographs import fits_bytes

RANDOM = np.random.default_rng(0)
SHAPE = (120, 160)


def frame(light, noise, *, offset=500):
    """Return levels of 16 bits: light above an offset, with noise and a hot pixel."""
    levels = offset + light + RANDOM.normal(0, noise, SHAPE)
    levels[10, 10] = 65535
    return np.clip(levels, 0, 65535).astype(np.uint16)


@pytest.mark.parametrize('noise', [2, 10, 40, 200])
@pytest.mark.parametrize('bits', [8, 12, 16])
def test_a_lens_cap_stays_dark(noise, bits):
    levels = frame(0, noise) >> (16 - bits)
    levels = levels.astype(np.uint8) if bits == 8 else levels
    found = decode_fits(fits_bytes(levels), 'cap.fits', levels=Levels(None if bits == 8 else bits))
    assert np.percentile(found, 99) < 40 and found.mean() < 24


def test_a_night_that_is_black_in_8_bits_becomes_visible():
    sky = np.linspace(100, 300, SHAPE[1])[None]
    levels = frame(sky, 8)
    assert (levels >> 8).max(initial=0, where=levels < 60000) <= 3
    found = decode_fits(fits_bytes(levels), 'night.fits')[..., 1].astype(float)
    columns = found.mean(0)
    assert columns[-1] > 40 and columns[-1] > 1.5 * columns[0]
    assert np.diff(columns[::16]).min() > 0, 'brighter stays brighter'


def test_a_day_behind_a_lens_is_srgb():
    """A dome with a black frame; the transfer function is known for middle gray: 18 percent are level 118."""
    light = np.zeros((*SHAPE, 3), np.uint16)
    cv2.circle(light, (80, 60), 58, (round(0.18 * 65535), round(0.5 * 65535), round(0.8 * 65535)), -1)
    found = develop(light)
    assert found[60, 80].tolist() == [118, 188, 231] and not found[0, 0].any()


@settings(max_examples=50, deadline=None)
@given(gain=st.floats(0.0001, 1), noise=st.floats(0, 0.1))
def test_development_is_monotonic_and_keeps_black_and_white(gain, noise):
    ramp = np.linspace(0, 1, 4096).reshape(64, 64)
    light = np.clip(65535 * gain * (ramp + RANDOM.normal(0, noise, ramp.shape)), 0, 65535).astype(np.uint16)
    light[0, 0], light[0, 1] = 0, 65535
    found = develop(light[..., None].repeat(3, 2))[..., 1]
    order = np.argsort(light, axis=None, kind='stable')
    assert (np.diff(found.ravel()[order].astype(int)) >= 0).all()
    assert found[0, 0] == 0 and found[0, 1] == 255


def test_pixels_without_light_stay_black():
    assert not develop(np.zeros((4, 4, 3), np.uint16)).any()
