"""Stars in rendered images, by the lens of a sky camera."""

from dataclasses import replace

import numpy as np
import pytest

from hyperbolic_seg.sky.camera import PROJECTIONS, Lens
from hyperbolic_seg.sky.renderer import Camera, PointLight, Sun, render_sky, sample_scene

SIZE = 200


def scene_of(camera, points, city_light=0.0):
    scene = sample_scene(3, camera='fisheye', time='night', genera=())
    sensor = replace(scene.sensor, exposure=2.0, noise=0.0, softness=0, jpeg=0.0)
    ground = replace(scene.ground, skyline='none', poles=0)
    changes = dict(camera=camera, ground=ground, sun=Sun(-30.0, 0.0, 1.0, 0.0), sensor=sensor, city_light=city_light)
    return replace(scene, points=tuple(points), **changes)


def above(scene):
    """Return levels above those of the same sky without stars: with one that cannot be seen."""
    none = replace(scene, points=(PointLight(-10.0, 0.0, 0.0),))
    images = [render_sky(3, SIZE, scene=one).image.astype(float).mean(2) for one in (scene, none)]
    return images[0] - images[1]


@pytest.mark.parametrize('projection', PROJECTIONS)
@pytest.mark.parametrize('east_left', [True, False])
def test_stars_are_where_the_lens_sees_their_directions(projection, east_left):
    camera = Camera('fisheye', 90.0, 0.0, 170.0, 35.0, 0.9, projection, 4.0, 210.0, east_left, (0.03, -0.02))
    center = (SIZE / 2 * 1.03 - 0.5, SIZE / 2 * 0.98 - 0.5)
    options = dict(projection=projection, field_of_view=170, north=35, tilt=4, tilt_azimuth=210)
    lens = Lens.from_dome(center, SIZE / 2 * 0.9, east_left=east_left, **options)
    elevations, azimuths = np.array([80.0, 55.0, 40.0, 25.0]), np.array([10.0, 100.0, 190.0, 300.0])
    points = [PointLight(up, around, 1.0) for up, around in zip(elevations, azimuths, strict=True)]
    light = above(scene_of(camera, points))
    for x, y in np.stack(lens.pixels(90 - elevations, azimuths), 1):
        rows, columns = np.mgrid[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4]
        own = np.maximum(light[rows, columns], 0)
        assert own.max() > 20
        assert ((own * columns).sum() / own.sum(), (own * rows).sum() / own.sum()) == pytest.approx((x, y), abs=0.1)


def test_bright_stars_are_brighter_and_a_city_and_the_horizon_dim_them():
    camera = Camera('fisheye', 90.0, 0.0, 180.0)
    levels = [above(scene_of(camera, [PointLight(60.0, 40.0, magnitude)])).max() for magnitude in (0.0, 2.0, 4.0)]
    assert levels[0] > 2 * levels[1] > 3 * levels[2] > 3
    low = above(scene_of(camera, [PointLight(8.0, 40.0, 0.0)])).max()
    city = above(scene_of(camera, [PointLight(60.0, 40.0, 0.0)], city_light=1.0)).max()
    assert max(low, city) < levels[0]


def test_stars_below_the_horizon_and_outside_the_image_are_not_drawn():
    camera = Camera('planar', 30.0, 0.0, 60.0)
    assert above(scene_of(camera, [PointLight(-1.0, 0.0, -2.0), PointLight(30.0, 180.0, -2.0)])).max() == 0
    assert above(scene_of(camera, [PointLight(30.0, 5.0, -2.0)])).max() > 20
