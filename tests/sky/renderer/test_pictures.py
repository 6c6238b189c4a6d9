"""What rendered pictures show."""

import numpy as np
import pytest

from hyperbolic_seg.sky.renderer import (
    CLOUDS,
    GENUS_NAMES,
    SkyLabel,
    render_sky,
    sample_scene,
)

SIZE = 96
LABELS = [int(label) for label in SkyLabel]


def pictures(seeds, **restrictions):
    return [render_sky(seed, SIZE, scene=sample_scene(seed, **restrictions)) for seed in range(seeds)]


def brightness(picture, where=True):
    return picture.image.mean(axis=2)[np.broadcast_to(where, picture.labels.shape)].mean()


def saturation(picture, where):
    pixels = picture.image[where].astype(float)
    return 1 - (pixels.min(axis=1) / np.maximum(pixels.max(axis=1), 1)).mean()


def test_shapes_types_and_labels():
    for seed in range(40):
        picture = render_sky(seed, (64, 100))
        assert picture.image.shape == (64, 100, 3)
        assert picture.labels.shape == (64, 100)
        assert picture.image.dtype == picture.labels.dtype == np.uint8
        assert np.isin(picture.labels, LABELS).all()
        shown = {label for label in CLOUDS if (picture.labels == label).any()}
        assert shown <= {layer.genus for layer in picture.scene.layers}


@pytest.mark.parametrize('size', [32, (32, 200), (333, 47), (600, 600)])
def test_odd_sizes(size):
    for seed in range(3):
        height, width = (size, size) if isinstance(size, int) else size
        assert render_sky(seed, size).labels.shape == (height, width)


def test_size_changes_the_resolution_and_not_the_scene():
    agreement = []
    for seed in range(20):
        small, large = render_sky(seed, 96).labels, render_sky(seed, 288).labels
        agreement.append((small == large[1::3, 1::3]).mean())
    assert np.mean(agreement) > 0.9


@pytest.mark.parametrize('camera', ['planar', 'fisheye'])
@pytest.mark.parametrize('name', GENUS_NAMES)
def test_every_genus_can_be_asked_for(name, camera):
    found = [(picture.labels == SkyLabel[name.upper()]).any() for picture in pictures(10, camera=camera, genera=[name])]
    assert np.mean(found) >= 0.8


def test_clear_pictures_have_no_cloud():
    for picture in pictures(20, genera=[]):
        assert not np.isin(picture.labels, CLOUDS).any()


def test_outside_of_the_dome_is_labelled_and_black():
    for picture in pictures(15, camera='fisheye'):
        outside = picture.labels == SkyLabel.OUTSIDE_THE_LENS
        assert 0.1 < outside.mean() < 0.5
        assert outside[0, 0] and not outside[SIZE // 2, SIZE // 2]
        assert picture.image[outside].max() <= 4
    for picture in pictures(15, camera='planar'):
        assert not (picture.labels == SkyLabel.OUTSIDE_THE_LENS).any()


def test_by_day_cloud_is_less_colourful_than_sky():
    differences = []
    for picture in pictures(60, time='day'):
        cloud, sky = np.isin(picture.labels, CLOUDS), picture.labels == SkyLabel.CLEAR_SKY
        if min(cloud.sum(), sky.sum()) > 200:
            differences.append(saturation(picture, sky) - saturation(picture, cloud))
    assert len(differences) > 20
    assert np.mean(differences) > 0.15
    assert np.mean(np.array(differences) > 0) > 0.9


def test_night_is_darker_than_day():
    day = [brightness(picture) for picture in pictures(30, camera='planar', time='day')]
    night = [brightness(picture) for picture in pictures(30, camera='planar', time='night')]
    assert np.mean(night) < 0.75 * np.mean(day)


def test_by_day_the_horizon_is_brighter_than_the_zenith():
    rises = []
    for seed in range(80):
        scene = sample_scene(seed, camera='planar', time='day', genera=[])
        if scene.camera.elevation > 45:
            continue
        picture = render_sky(seed, SIZE, scene=scene)
        sky = picture.labels == SkyLabel.CLEAR_SKY
        rows = np.flatnonzero(sky.mean(axis=1) > 0.9)
        if len(rows) > 30:
            rises.append(picture.image[rows[-5]].mean() - picture.image[rows[4]].mean())
    assert len(rises) > 15
    assert np.median(rises) > 10


def test_the_sun_is_white_and_hidden_by_thick_cloud():
    suns = 0
    for clear, hidden in zip(
        pictures(12, camera='fisheye', time='day', genera=[]),
        pictures(12, camera='fisheye', time='day', genera=['nimbostratus']),
        strict=True,
    ):
        sun = clear.labels == SkyLabel.SUN
        if sun.sum() >= 4:
            suns += 1
            assert brightness(clear, sun) > 0.9 * clear.image[~sun].max()
        assert not (hidden.labels == SkyLabel.SUN).any()
    assert suns > 6


def test_rain_cloud_is_darker_than_a_veil():
    dark = pictures(15, time='day', camera='planar', genera=['nimbostratus'])
    veil = pictures(15, time='day', camera='planar', genera=['cirrostratus'])
    means = [np.mean([brightness(p, np.isin(p.labels, CLOUDS)) for p in group]) for group in (dark, veil)]
    assert means[0] < 0.8 * means[1]


def test_obstructions_stand_at_the_foot_of_planar_pictures():
    foot, head = [], []
    for picture in pictures(60, camera='planar'):
        hidden = picture.labels == SkyLabel.OBSTRUCTION
        foot.append(hidden[-8:].mean())
        head.append(hidden[:8].mean())
    assert np.mean(foot) > 0.15
    assert np.mean(head) < 0.05
