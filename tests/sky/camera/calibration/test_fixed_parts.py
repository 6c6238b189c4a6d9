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


def hazy(random, *, clouds_end):
    """Pictures of a sky with fewer clouds to the right, white at the horizon, hills as bright as that on the left."""
    blue, white = np.array([200, 150, 110], np.float32), np.array([190, 190, 190], np.float32)
    haze = np.clip((np.arange(120) - 90) / 60, 0, 1)[:, None, None]
    pictures = np.empty((40, 120, 120, 3), np.uint8)
    for picture in pictures:
        cover = cv2.resize(random.uniform(-1, 2, (8, 8)).astype(np.float32), (120, 120), interpolation=cv2.INTER_CUBIC)
        clouds = np.clip(cover, 0, 1)[..., None] * np.clip((clouds_end - np.arange(120)) / 60, 0, 1)[:, None]
        picture[:] = blue + (white - blue) * np.maximum(clouds, haze) + random.normal(0, 1, (120, 120, 3))
        picture[100:, :55] = 182 + random.normal(0, 1, (20, 55, 3))
    return pictures


def test_hills_in_haze_keep_their_color():
    sky = find_mask(hazy(np.random.default_rng(0), clouds_end=180), np.ones((120, 120), bool)).sky
    assert sky[102:, 2:53].mean() < 0.05
    assert sky[102:, 60:].mean() > 0.95 and sky[:97].mean() > 0.99


def test_a_sky_that_no_clouds_crossed_is_not_taken_for_hills():
    sky = find_mask(hazy(np.random.default_rng(0), clouds_end=90), np.ones((120, 120), bool)).sky
    assert sky[:, 85:].mean() > 0.95


def test_a_text_hides_what_is_between_its_letters_and_a_bent_rod_only_itself():
    random = np.random.default_rng(0)
    pictures = np.empty((40, 240, 240, 3), np.uint8)
    for picture in pictures:
        coarse = random.uniform(150, 230, (8, 8)).astype(np.float32)
        picture[:] = np.clip(cv2.resize(coarse, (240, 240), interpolation=cv2.INTER_CUBIC), 0, 255)[..., None]
        cv2.rectangle(picture, (40, 120), (43, 150), (20, 20, 20), -1)
        cv2.rectangle(picture, (40, 147), (70, 150), (20, 20, 20), -1)
        for letter in range(5):
            cv2.rectangle(picture, (120 + 9 * letter, 120), (123 + 9 * letter, 132), (20, 20, 20), -1)
    sky = find_mask(pictures, np.ones((240, 240), bool)).sky
    assert not sky[121:150, 41:43].any() and sky[132:140, 50:55].all()
    assert not sky[123:130, 120:159].any()


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
