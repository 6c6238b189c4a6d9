"""Domes, drawn and real."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperbolic_seg.sky.camera.dome import Dome, find_dome
from hyperbolic_seg.sky.renderer import render_sky, sample_scene


@settings(max_examples=30)
@given(st.floats(85, 115), st.floats(75, 105), st.floats(50, 96), st.integers(0, 99))
def test_a_dome_is_found_when_cut_off_or_behind_trees(x, y, radius, seed):
    random = np.random.default_rng(seed)
    inside = Dome((x, y), radius).mask(180, 200)
    for angle in random.uniform(0, 2 * np.pi, 3):  # trees: dark at the rim
        at = np.array([x, y]) + radius * np.array([np.cos(angle), np.sin(angle)])
        inside &= ~Dome((at[0], at[1]), 0.15 * radius).mask(180, 200)
    image = np.where(inside[..., None], random.integers(60, 256, (180, 200, 3)), random.integers(0, 15, (180, 200, 3)))
    found = find_dome(image.astype(np.uint8))
    assert np.hypot(found.center[0] - x, found.center[1] - y) < 2
    assert found.radius == pytest.approx(radius, abs=2)


def test_the_dome_of_a_large_image_is_found_to_a_pixel_of_a_reduced_one():
    inside = Dome((1611.0, 1190.0), 1033.0).mask(2400, 3200)
    found = find_dome(np.where(inside[..., None], np.uint8(170), np.uint8(3)).repeat(3, 2))
    assert found.center == pytest.approx((1611, 1190), abs=1) and found.radius == pytest.approx(1033, abs=1.5)


def test_domes_of_rendered_images_are_found():
    found = 0
    for seed in range(60):
        scene = sample_scene(seed)
        camera = scene.camera  # of which the dome is the bright part
        if camera.kind != 'fisheye' or camera.rim or camera.surround or scene.sun.elevation < 10:
            continue
        rendered = render_sky(seed, 128)
        dome = find_dome(np.ascontiguousarray(rendered.image[..., ::-1]))
        assert dome.radius == pytest.approx(64 * camera.dome_radius, abs=2)
        found += 1
    assert found > 2


def test_domes_of_a_real_camera_agree_with_its_masks(real_data):
    """By the masks of its makers, of which 255 is outside the dome and the sun."""
    agreed = []
    for file in sorted((real_data / 'wsiseg' / 'images').glob('*.jpg'))[::35]:
        image = cv2.imread(str(file))
        mask = cv2.imread(str(real_data / 'wsiseg' / 'masks' / f'{file.stem}.png'), cv2.IMREAD_UNCHANGED)
        seen = mask != 255
        inside = find_dome(image).mask(*seen.shape)
        agreed.append((inside & seen).sum() / seen.sum())
        assert agreed[-1] > 0.97, file.name
    assert len(agreed) >= 9


@pytest.mark.parametrize('image', [np.full((60, 80, 3), 200, np.uint8), np.zeros((60, 80, 3), np.uint8)])
def test_an_image_without_a_dome_is_an_error(image):
    with pytest.raises(ValueError, match='no dome found'):
        find_dome(image)


def test_dark_corners_alone_are_no_dome():
    image = np.where(Dome((85, 75), 117).mask(180, 200)[..., None], np.uint8(200), np.uint8(5)).repeat(3, 2)
    with pytest.raises(ValueError, match='no dome found'):
        find_dome(image)


def test_a_bright_square_is_no_dome():
    image = np.zeros((100, 100, 3), np.uint8)
    image[20:80, 5:95] = 200
    with pytest.raises(ValueError, match='no dome found'):
        find_dome(image)
