"""What rendered images show."""

import numpy as np
import pytest

from hyperbolic_seg.sky.renderer import (
    CLOUDS,
    FOREGROUND,
    GENUS_NAMES,
    SkyLabel,
    render_sky,
    sample_scene,
)

SIZE = 96
LABELS = [int(label) for label in SkyLabel]


def images(seeds, **restrictions):
    return [render_sky(seed, SIZE, scene=sample_scene(seed, **restrictions).plain()) for seed in range(seeds)]


def brightness(rendered, where=True):
    return rendered.image.mean(axis=2)[np.broadcast_to(where, rendered.labels.shape)].mean()


def saturation(rendered, where):
    pixels = rendered.image[where].astype(float)
    return 1 - (pixels.min(axis=1) / np.maximum(pixels.max(axis=1), 1)).mean()


def test_images_and_labels_have_the_asked_shape_and_known_labels():
    for seed in range(40):
        rendered = render_sky(seed, (64, 100))
        assert rendered.image.shape == (64, 100, 3)
        assert rendered.labels.shape == (64, 100)
        assert rendered.image.dtype == rendered.labels.dtype == np.uint8
        assert np.isin(rendered.labels, LABELS).all()
        shown = {label for label in CLOUDS if (rendered.labels == label).any()}
        assert shown <= {layer.genus for layer in rendered.scene.layers}


@pytest.mark.parametrize('size', [32, (32, 200), (333, 47), (600, 600)])
def test_any_size_is_rendered(size):
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
    found = [(rendered.labels == SkyLabel[name.upper()]).any() for rendered in images(10, camera=camera, genera=[name])]
    assert np.mean(found) >= 0.8


def test_clear_images_have_no_cloud():
    for rendered in images(20, genera=[]):
        assert not np.isin(rendered.labels, CLOUDS).any()


def test_outside_of_the_dome_is_labeled_and_black_unless_the_camera_says_otherwise():
    for rendered in images(30, camera='fisheye'):
        camera, outside = rendered.scene.camera, rendered.labels == SkyLabel.OUTSIDE_THE_LENS
        assert 0.1 < outside.mean() < 0.5
        assert outside[0, 0] and not outside[SIZE // 2, SIZE // 2]
        if camera.surround:
            assert (rendered.image[0, 0] == camera.surround).all()
        elif not camera.rim:
            assert rendered.image[outside].max() <= 4
    for rendered in images(15, camera='planar'):
        assert not (rendered.labels == SkyLabel.OUTSIDE_THE_LENS).any()


def test_by_day_cloud_is_less_colorful_than_sky():
    differences = []
    for rendered in images(60, time='day'):
        cloud, sky = np.isin(rendered.labels, CLOUDS), rendered.labels == SkyLabel.CLEAR_SKY
        if min(cloud.sum(), sky.sum()) > 200:
            differences.append(saturation(rendered, sky) - saturation(rendered, cloud))
    assert len(differences) > 20
    assert np.mean(differences) > 0.15
    assert np.mean(np.array(differences) > 0) > 0.9


def test_night_is_darker_than_day():
    day = [brightness(rendered) for rendered in images(30, camera='planar', time='day')]
    night = [brightness(rendered) for rendered in images(30, camera='planar', time='night')]
    assert np.mean(night) < 0.75 * np.mean(day)


def test_by_day_the_horizon_is_brighter_than_the_zenith():
    rises = []
    for seed in range(80):
        scene = sample_scene(seed, camera='planar', time='day', genera=[]).plain()
        if scene.camera.elevation > 45:
            continue
        rendered = render_sky(seed, SIZE, scene=scene)
        sky = rendered.labels == SkyLabel.CLEAR_SKY
        rows = np.flatnonzero(sky.mean(axis=1) > 0.9)
        if len(rows) > 30:
            rises.append(rendered.image[rows[-5]].mean() - rendered.image[rows[4]].mean())
    assert len(rises) > 15
    assert np.median(rises) > 10


def test_the_sun_is_white_and_hidden_by_thick_cloud():
    suns = 0
    for clear, hidden in zip(
        images(12, camera='fisheye', time='day', genera=[]),
        images(12, camera='fisheye', time='day', genera=['nimbostratus']),
        strict=True,
    ):
        sun = clear.labels == SkyLabel.SUN
        if sun.sum() >= 4:
            suns += 1
            assert brightness(clear, sun) > 0.9 * clear.image[~sun].max()
        assert not (hidden.labels == SkyLabel.SUN).any()
    assert suns > 6


def test_rain_cloud_is_darker_than_a_veil():
    dark = images(15, time='day', camera='planar', genera=['nimbostratus'])
    veil = images(15, time='day', camera='planar', genera=['cirrostratus'])
    means = [np.mean([brightness(p, np.isin(p.labels, CLOUDS)) for p in group]) for group in (dark, veil)]
    assert means[0] < 0.8 * means[1]


def test_obstructions_stand_at_the_foot_of_planar_images():
    foot, head = [], []
    for rendered in images(60, camera='planar'):
        hidden = np.isin(rendered.labels, FOREGROUND)
        foot.append(hidden[-8:].mean())
        head.append(hidden[:8].mean())
    assert np.mean(foot) > 0.15
    assert np.mean(head) < 0.05
