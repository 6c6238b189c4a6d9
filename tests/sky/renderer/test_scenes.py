"""Sampling of scenes and what is refused."""

import pytest

from hyperbolic_seg.sky.renderer import (
    GENUS_NAMES,
    SkyLabel,
    render_sky,
    sample_scene,
)

SCENES = [sample_scene(seed) for seed in range(1000)]


def share(condition):
    return sum(map(condition, SCENES)) / len(SCENES)


def test_scenes_have_the_expected_shares_of_cameras_times_and_layers():
    assert 0.28 < share(lambda s: s.camera.kind == 'fisheye') < 0.39
    assert 0.44 < share(lambda s: s.time == 'day') < 0.56
    assert 0.2 < share(lambda s: s.time == 'dusk') < 0.3
    assert 0.2 < share(lambda s: s.time == 'night') < 0.3
    assert 0.06 < share(lambda s: not s.layers) < 0.14
    assert share(lambda s: len(s.layers) > 1) > 0.3


@pytest.mark.parametrize('name', GENUS_NAMES)
def test_every_genus_is_frequent(name):
    assert share(lambda s: SkyLabel[name.upper()] in [layer.genus for layer in s.layers]) > 0.05


def test_restrictions_are_kept_and_do_not_disturb_each_other():
    for seed in range(30):
        free = sample_scene(seed)
        night = sample_scene(seed, camera='fisheye', time='night', genera=['cumulus', 'cirrus'])
        assert (night.camera.kind, night.time) == ('fisheye', 'night')
        # From the highest layer to the lowest, however they were named.
        assert [layer.genus for layer in night.layers] == [SkyLabel.CIRRUS, SkyLabel.CUMULUS]
        assert night.turbidity == free.turbidity
        assert sample_scene(seed, time=free.time) == free
        assert sample_scene(seed, genera=[]).layers == ()


def test_a_genus_named_twice_gives_one_layer():
    assert len(sample_scene(0, genera=['stratus', 'stratus']).layers) == 1


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(genera=['cumulonimbo']), "genus must be one of cirrus.*contrail, got 'cumulonimbo'"),
        (dict(genera='cumulus'), "a collection of names.*got the string 'cumulus'"),
        (dict(camera='pinhole'), "camera must be one of planar, fisheye, got 'pinhole'"),
        (dict(time='noon'), "time must be one of day, dusk, night, got 'noon'"),
    ],
)
def test_unknown_names_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_scene(0, **arguments)


@pytest.mark.parametrize('size', [31, (64, 31), (256,), (1, 2, 3), (0, 64), 64.5])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(ValueError, match='size must be'):
        render_sky(0, size)


@pytest.mark.parametrize('seed', [-1, 0.5])
def test_impossible_seeds_are_refused(seed):
    with pytest.raises(ValueError, match='seed must be a non-negative integer'):
        sample_scene(seed)
    with pytest.raises(ValueError, match='seed must be a non-negative integer'):
        render_sky(seed)
