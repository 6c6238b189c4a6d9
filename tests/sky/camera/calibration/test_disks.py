"""Bright disks, drawn, and suns of a real camera."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperbolic_seg.sky.camera.calibration import find_disks


def sky(x, y, radius, *, glare=60.0, side=200):
    """Draw a saturated disk with glare at a place between pixels."""
    rows, columns = np.mgrid[:side, :side]
    off = np.hypot(columns - x, rows - y)
    light = 90 + glare * np.exp(-off / 12) + 400 * np.clip(radius + 0.5 - off, 0, 1)
    return np.clip(np.stack([light, 0.9 * light, 0.8 * light], 2), 0, 255).astype(np.uint8)


@settings(max_examples=25, deadline=None)
@given(st.floats(40, 160), st.floats(40, 160), st.floats(3, 8))
def test_the_center_of_the_sun_is_found_between_pixels(x, y, radius):
    (disk, *_) = find_disks(sky(x, y, radius))
    assert disk.center == pytest.approx((x, y), abs=0.2)  # 0.153 at (40.5, 40.25) with a radius of 3


def test_rays_and_a_ghost_do_not_move_the_center():
    image = sky(80.3, 110.7, 7)
    cv2.line(image, (80, 111), (180, 30), (255, 255, 255), 2, cv2.LINE_AA)
    cv2.circle(image, (30, 160), 3, (255, 255, 255), -1)
    centers = np.array([disk.center for disk in find_disks(image)])
    assert np.linalg.norm(centers - [80.3, 110.7], axis=1).min() < 0.7
    assert np.linalg.norm(centers - [30, 160], axis=1).min() < 0.7


@pytest.mark.parametrize('level', [0, 90, 255])
def test_nothing_is_found_in_an_even_image(level):
    random = np.random.default_rng(0)
    image = np.clip(level + random.normal(0, 3, (200, 200, 3)), 0, 255).astype(np.uint8)
    assert find_disks(image) == []


def test_a_bright_cloud_is_too_large_and_too_long():
    image = np.full((200, 200, 3), 90, np.uint8)
    cv2.ellipse(image, (100, 100), (70, 12), 20, 0, 360, (250, 250, 250), -1)
    assert find_disks(image) == []


def test_suns_of_a_real_camera_are_where_its_makers_masked_them(real_data):
    """In these masks 255 is outside the dome and the sun with its glare, drawn by hand."""
    near = []
    for file in sorted((real_data / 'wsiseg' / 'images').glob('*.jpg'))[::9]:
        mask = cv2.imread(str(real_data / 'wsiseg' / 'masks' / f'{file.stem}.png'), cv2.IMREAD_UNCHANGED)
        count, _, boxes, centers = cv2.connectedComponentsWithStats((mask == 255).astype(np.uint8))
        inside = [part for part in range(1, count) if boxes[part, 0] > 3 and boxes[part, 4] > 300]
        if inside and (found := find_disks(cv2.imread(str(file)))):
            sun = centers[max(inside, key=lambda part: boxes[part, 4])]
            near.append(min(np.hypot(*(np.array(disk.center) - sun)) for disk in found))
    assert len(near) > 20
    assert np.median(near) < 7  # pixels, of a dome with a radius of 220; the masked glare has one of about 15
