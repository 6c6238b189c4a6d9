"""Sizes of images."""

import cv2
import mmcv
import numpy as np
import pytest

from hyperbolic_seg.images import resized


@pytest.mark.parametrize('size', [(96, 64), (33, 20), (300, 200), (120, 80)])
def test_images_are_resized_as_mmcv_does_with_pillow(size):
    image = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    expected = mmcv.imresize(image, size, interpolation='bilinear', backend='pillow')
    np.testing.assert_array_equal(resized(image, size), expected)


def test_what_is_too_fine_is_averaged():
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::3] = 255  # a third of all
    small = resized(stripes, (96, 96))
    assert np.abs(small[:, 2:-2].astype(float) - 85).max() < 20
    plain = cv2.resize(stripes, (96, 96), interpolation=cv2.INTER_LINEAR)
    assert np.abs(plain.astype(float) - 85).max() > 80, 'the fault that this is for'
