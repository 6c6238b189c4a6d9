"""Masks as people and programs draw them, against the clean one."""

import warnings

import cv2
import numpy as np
import pytest

from hyperbolic_seg.sky.camera.mask import read_mask

CLEAN = np.where(np.add.outer(np.arange(60), np.arange(80)) > 70, np.uint8(255), np.uint8(0))


def painted(level, opaque):
    """Return a mask that is painted in one level where it is opaque."""
    return np.dstack([np.full((*opaque.shape, 3), level, np.uint8), np.where(opaque, 255, 0).astype(np.uint8)])


KINDS = {
    'clean': CLEAN,
    'in color': CLEAN[..., None].repeat(3, 2),
    'of 0 and 1': CLEAN // 255,
    'of 16 bits': CLEAN.astype(np.uint16) * 257,
    'black at 16, white at 235': np.where(CLEAN, 235, 16).astype(np.uint8),
    'feathered': cv2.GaussianBlur(CLEAN, (5, 5), 0.8),
    'opaque': np.dstack([CLEAN[..., None].repeat(3, 2), np.full_like(CLEAN, 255)]),
    'black on transparent': painted(0, CLEAN == 0),
    'white on transparent': painted(255, CLEAN == 255),
}


@pytest.mark.parametrize('kind', KINDS)
def test_each_kind_is_the_clean_one(tmp_path, kind):
    path = str(tmp_path / 'mask.png')
    cv2.imwrite(path, KINDS[kind])
    with warnings.catch_warnings():
        warnings.simplefilter('ignore' if kind == 'feathered' else 'error')
        differing = read_mask(path) != (CLEAN > 0)
    assert differing.mean() == 0 if kind != 'feathered' else differing.mean() < 0.01


def test_a_jpeg_is_the_clean_one(tmp_path):
    path = str(tmp_path / 'mask.jpg')
    cv2.imwrite(path, CLEAN, [cv2.IMWRITE_JPEG_QUALITY, 70])
    assert (read_mask(path) != (CLEAN > 0)).mean() < 0.002


@pytest.mark.parametrize(('level', 'seen'), [(0, False), (16, False), (235, True), (255, True)])
def test_a_mask_of_one_level(tmp_path, level, seen):
    cv2.imwrite(str(tmp_path / 'mask.png'), np.full_like(CLEAN, level))
    assert (read_mask(str(tmp_path / 'mask.png')) == seen).all()


def test_other_levels_are_reported(tmp_path):
    path = str(tmp_path / 'mask.png')
    cv2.imwrite(path, np.where(CLEAN, 200, 90).astype(np.uint8))
    with pytest.warns(UserWarning, match='100% of the mask .* is neither black nor white'):
        assert (read_mask(path) == (CLEAN > 0)).all()


def test_black_and_white_on_transparent_is_refused(tmp_path):
    both = np.dstack([CLEAN[..., None].repeat(3, 2), np.full_like(CLEAN, 255)])
    both[:10, :, 3] = 0
    cv2.imwrite(str(tmp_path / 'mask.png'), both)
    with pytest.raises(ValueError, match='black and white on transparent'):
        read_mask(str(tmp_path / 'mask.png'))
