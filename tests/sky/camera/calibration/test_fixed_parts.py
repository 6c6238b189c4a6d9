"""Masks of what never moves, of rendered and of real cameras."""

import cv2
import numpy as np
import pytest

from hyperbolic_seg.sky.camera.calibration import find_mask


def stack_of(folder):
    return np.stack([cv2.imread(str(file)) for file in sorted(folder.iterdir())])


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def test_trees_masts_text_and_the_frame_are_found(series):
    folder, hidden = series
    pictures = stack_of(folder)
    dome = pictures.max((0, 3)) > 10
    found = find_mask(pictures, dome)
    assert overlap(found.sky, ~hidden) > 0.95
    assert overlap(~found.sky, hidden) > 0.95
    assert found.agreement > 0.9 and found.pictures == len(pictures)
    assert found.hidden == pytest.approx((hidden & dome).sum() / dome.sum(), abs=0.02)


def test_a_wall_as_bright_as_the_clouds_is_cut_off_by_its_edges_and_a_part_of_the_sky_is_not():
    random = np.random.default_rng(0)
    pictures = np.empty((40, 120, 120, 3), np.uint8)
    for picture in pictures:
        coarse = random.uniform(150, 230, (8, 8)).astype(np.float32)
        clouds = cv2.resize(coarse, (120, 120), interpolation=cv2.INTER_CUBIC)
        picture[:] = np.clip(clouds, 0, 255)[..., None]
        picture[80:, 30:90] = np.uint8(np.median(clouds))
        cv2.rectangle(picture, (30, 80), (89, 119), (20, 20, 20), 2)
        cv2.line(picture, (0, 40), (40, 0), (20, 20, 20), 2)  # a wire that cuts off a corner of the sky
    found = find_mask(pictures, np.ones((120, 120), bool))
    assert not found.sky[84:116, 34:86].any()
    assert found.sky[:12, :12].all() and found.sky[20:70, 40:].all()


def test_too_few_pictures_and_one_sky_for_all_are_refused(series):
    pictures = stack_of(series[0])
    dome = np.ones(pictures.shape[1:3], bool)
    with pytest.raises(ValueError, match='11 pictures: expected at least 12'):
        find_mask(pictures[:11], dome)
    with pytest.raises(ValueError, match='the sky changes by'):
        find_mask(np.repeat(pictures[:1], 20, 0), dome)


def test_of_a_real_camera_the_sky_is_what_its_makers_left(real_data):
    """Their masks have 255 outside the dome, and where the sun is."""
    files = sorted((real_data / 'wsiseg' / 'images').glob('*.jpg'))[::12]
    masks = [
        cv2.imread(str(real_data / 'wsiseg' / 'masks' / f'{file.stem}.png'), cv2.IMREAD_UNCHANGED) for file in files
    ]
    sky = np.mean([mask != 255 for mask in masks], 0) > 0.5
    pictures = np.stack(
        [cv2.resize(cv2.imread(str(file)), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for file in files]
    )
    found = find_mask(pictures, pictures.mean((0, 3)) > 24)
    assert overlap(found.sky, sky[::2, ::2]) > 0.9
