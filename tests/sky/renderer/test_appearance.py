"""Attributes of rendered clouds: what is behind a thin cloud is seen through it."""

from dataclasses import replace

import numpy as np
import pytest

from hyperbolic_seg.sky.renderer import CLOUDS, Appearance, render_sky, sample_scene


@pytest.fixture(scope='module')
def skies():
    return [render_sky(seed, 64) for seed in range(30)]


def test_clouds_alone_have_attributes(skies):
    for sky in skies:
        cloud = np.isin(sky.labels, CLOUDS)
        assert (sky.attributes[~cloud] == 0).all() and (sky.optical_thickness[~cloud] == 0).all()
        assert (sky.attributes[cloud] & (Appearance.THIN | Appearance.THICK | Appearance.OPAQUE)).all()
        assert (sky.optical_thickness[cloud] > 0.24).all()  # less is no cloud


def test_values_are_those_of_the_number(skies):
    for value, least, most in ((Appearance.THIN, 0, 1.6), (Appearance.THICK, 1.2, 4.3), (Appearance.OPAQUE, 3.8, 9.3)):
        found = np.concatenate([sky.optical_thickness[(sky.attributes & value) > 0] for sky in skies])
        assert len(found) > 500 and least <= found.min() and found.max() <= most


def test_a_layer_of_more_opacity_is_thicker():
    scene = sample_scene(4, camera='planar', time='day', genera=['cirrostratus']).plain()
    layer = scene.layers[0]
    thin, thick = (render_sky(4, 64, scene=replace(scene, layers=(replace(layer, opacity=o),))) for o in (0.5, 0.95))
    both = (thin.attributes > 0) & (thick.attributes > 0)
    assert both.mean() > 0.2 and (thin.optical_thickness[both] < thick.optical_thickness[both]).mean() > 0.99


def test_dark_clouds_are_darker_than_white_ones_and_night_has_neither(skies):
    bright = {value: [] for value in (Appearance.WHITE, Appearance.DARK)}
    for sky in skies:
        if sky.scene.time == 'night':
            assert not (sky.attributes & (Appearance.WHITE | Appearance.DARK)).any()
            continue
        for value, found in bright.items():
            chosen = (sky.attributes & value) > 0
            if sky.scene.time == 'day' and chosen.sum() > 50:
                found.append(sky.image[chosen].mean())
    assert len(bright[Appearance.DARK]) > 5 and len(bright[Appearance.WHITE]) > 5
    assert np.mean(bright[Appearance.WHITE]) > np.mean(bright[Appearance.DARK]) + 40
