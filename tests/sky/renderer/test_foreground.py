"""Things in front of the sky: where they are, how they are lit, and that labels are what is painted."""

from dataclasses import replace

import numpy as np
import pytest

from hyperbolic_seg.sky.renderer import FOREGROUND, SKYLINES, Camera, Ground, SkyLabel, render_sky, sample_scene
from hyperbolic_seg.sky.renderer.atmosphere import light_of
from hyperbolic_seg.sky.renderer.camera import look
from hyperbolic_seg.sky.renderer.foreground.buildings import Building, Dome
from hyperbolic_seg.sky.renderer.foreground.canvas import Canvas
from hyperbolic_seg.sky.renderer.foreground.daylight import daylight_of
from hyperbolic_seg.sky.renderer.foreground.facades import Wall, draw_facade, paint_facade
from hyperbolic_seg.sky.renderer.foreground.rays import Rays, bar, pulse
from hyperbolic_seg.sky.renderer.foreground.solids import box, lid, meet, pitched
from hyperbolic_seg.sky.renderer.foreground.structures import Structure
from hyperbolic_seg.sky.renderer.scene import Sun

FISHEYE = Camera('fisheye', 90.0, 0.0, 180.0)
PLANAR = Camera('planar', 20.0, 90.0, 70.0)
SUN = Sun(40.0, 270.0, 2.0, 1.0)  # in the west: walls that face the east are in the shade
SIZE = 128


def scene_of(skyline='none', height=10.0, *, time='day', camera=FISHEYE, poles=0, seed=0, **ground):
    scene = sample_scene(seed, camera=camera.kind, time=time, genera=[])
    return replace(scene.plain(), camera=camera, ground=Ground(skyline, height, poles, **ground))


def foreground(rendered):
    return np.isin(rendered.labels, FOREGROUND)


def angles(camera, size=SIZE):
    """Elevation and azimuth of every pixel in degrees, and whether it is inside the dome."""
    view = look(camera, SUN, (size, size))
    x, y, z = (axis.astype(float) for axis in (view.x, view.y, view.z))
    return np.degrees(np.arcsin(np.clip(z, -1, 1))), np.degrees(np.arctan2(x, y)) % 360, view.inside


def painted(element, camera=FISHEYE, size=SIZE, time='day'):
    """Labels of a picture of one thing over a black sky, and the light."""
    scene = scene_of(camera=camera, time=time)
    view, labels = look(camera, scene.sun, (size, size)), np.zeros((size, size), np.uint8)
    canvas = Canvas(np.zeros((3, size, size), np.float32))
    element.draw(canvas, Rays.of(view), daylight_of(scene, light_of(scene)))
    canvas.label(labels)
    return labels, canvas


def tower(azimuth=90.0, distance=10.0, top=12.0, side=8.0, eye=2.0):
    """A flat roofed tower whose front faces the camera."""
    turn = np.radians(azimuth)
    middle = (np.sin(turn) * (distance + side / 2), np.cos(turn) * (distance + side / 2))
    walls = box(middle, azimuth + 180, (side, side))
    return Building(walls, (lid(top),), top, eye, draw_facade(np.random.default_rng(0)), (0.1, 0.1, 0.1), distance)


@pytest.mark.parametrize('camera', [FISHEYE, PLANAR])
def test_a_roof_line_is_at_the_elevation_of_a_flat_wall(camera):
    labels, _ = painted(tower(), camera)
    elevation, azimuth, inside = angles(camera)
    aside = (azimuth - 90 + 180) % 360 - 180
    front = inside & (np.abs(aside) < np.degrees(np.arctan(4 / 10)) - 1)
    # The top of a wall 10 m away is farther, and so lower, beside its middle: tan e = 12 m cos a / 10 m.
    top = np.degrees(np.arctan(1.2 * np.cos(np.radians(aside))))
    foot = np.degrees(np.arctan(-0.2 * np.cos(np.radians(aside))))
    pixel = 180 / SIZE
    inner, outer = (foot + pixel < elevation) & (elevation < top - pixel), elevation > top + pixel
    assert (labels[front & inner] == SkyLabel.BUILDING).all() and (front & inner).sum() > 100
    assert (labels[front & outer] == 0).all() and (front & outer).sum() > 50


def test_upright_edges_point_at_the_zenith():
    labels, _ = painted(tower(azimuth=37.0), size=300)
    elevation, azimuth, _ = angles(FISHEYE, 300)
    widths = []
    for low in (5, 15, 25, 35):
        ring = (labels == SkyLabel.BUILDING) & (elevation > low) & (elevation < low + 3)
        widths.append((azimuth[ring].min(), azimuth[ring].max()))
    half = np.degrees(np.arctan(4 / 10))
    np.testing.assert_allclose(widths, [(37 - half, 37 + half)] * 4, atol=1.2)


@pytest.mark.parametrize('seed', range(6))
def test_the_coverage_of_a_house_is_that_of_many_rays(seed):
    rng = np.random.default_rng(seed)
    middle = tuple(rng.uniform(6, 15, 2) * rng.choice([-1, 1], 2))
    walls = box(middle, rng.uniform(0, 360), tuple(rng.uniform(3, 8, 2)))
    top, pitch = rng.uniform(0, 8), rng.uniform(20, 50)
    faces = (*walls, pitched(walls[0], top, pitch), pitched(walls[2], top, pitch))
    camera = replace(PLANAR, azimuth=float(np.degrees(np.arctan2(*middle))), elevation=30.0, field_of_view=90.0)
    hit = meet(faces, Rays.of(look(camera, SUN, (60, 60))))
    many = look(camera, SUN, (480, 480))
    rays = np.stack([many.x, many.y, many.z], -1).astype(float)
    near, far = np.full(rays.shape[:2], -np.inf), np.full(rays.shape[:2], np.inf)
    for face in faces:
        along = rays @ np.array(face.normal)
        reach = face.distance / along
        near, far = np.where(along < 0, np.maximum(near, reach), near), np.where(along > 0, np.minimum(far, reach), far)
    share = ((near < far) & (far > 0)).reshape(60, 8, 60, 8).mean(axis=(1, 3))
    assert 0.02 < share.mean() < 0.8
    error = np.abs(np.clip(hit.coverage, 0, 1) - share)
    assert error.max() < 0.35 and error[(share > 0) & (share < 1)].mean() < 0.08
    assert error[(share == 0) | (share == 1)].mean() < 0.005


def test_a_camera_inside_a_house_sees_none():
    assert meet((*box((0.0, 0.0), 0.0, (5.0, 5.0)), lid(3.0)), Rays.of(look(FISHEYE, SUN, (32, 32)))) is None


def test_the_outline_of_a_dome_is_a_circle():
    labels, _ = painted(Dome((0.0, 10.0, 6.0), 3.0, (0.8, 0.8, 0.8)))
    view = look(FISHEYE, SUN, (SIZE, SIZE))
    cosine = (view.y * 10 + view.z * 6) / np.sqrt(136)
    angle, limit = np.degrees(np.arccos(cosine)), np.degrees(np.arcsin(3 / np.sqrt(136)))
    reach = np.sqrt(136) * cosine - np.sqrt(np.maximum(9 - 136 * (1 - cosine**2), 0))
    upper = reach * view.z > 6  # the lower half is behind the tower
    found = labels == SkyLabel.BUILDING
    assert found[upper & (angle < limit - 1.5)].all() and not found[angle > limit + 1.5].any()
    assert (upper & (angle < limit - 1.5)).sum() > 20


def test_thin_bars_cover_as_much_of_a_picture_as_wide_pixels_say():
    position = np.linspace(-4, 4, 81, dtype=np.float32)
    for half in (0.01, 0.2, 1.3):
        for pixel in (0.1, 0.5, 2.0):
            share = bar(position, half, np.full_like(position, pixel))
            assert share.sum() * 0.1 == pytest.approx(2 * half, rel=0.1, abs=0.02)


@pytest.mark.parametrize('pixel', [0.05, 0.7, 3.0])
def test_pulses_are_the_mean_over_a_pixel(pixel):
    position = np.linspace(-5, 5, 40, dtype=np.float32)
    share = pulse(position, np.full_like(position, pixel), period=1.7, start=0.3, length=0.6)
    inside = position[:, None] + pixel * (np.arange(2000) + 0.5) / 2000 - pixel / 2
    expected = (((inside - 0.3) % 1.7) < 0.6).mean(axis=1)
    np.testing.assert_allclose(share, expected, atol=0.01)


def test_a_mast_is_where_its_azimuth_and_height_say():
    labels, _ = painted(Structure(135.0, 10.0, ((0.0, -2.0, 0.0, 8.0, 0.4),), (0.1, 0.1, 0.1)), size=256)
    elevation, azimuth, inside = angles(FISHEYE, 256)
    found = (labels == SkyLabel.STRUCTURE) & inside
    assert azimuth[found & (elevation > 5)] == pytest.approx(135.0, abs=3.5)
    assert elevation[found].max() == pytest.approx(np.degrees(np.arctan(0.8)), abs=1.0)


def test_a_wall_in_the_sun_is_as_bright_as_a_cloud_and_one_in_the_shade_is_not():
    day, light = (lambda scene: (daylight_of(scene, light_of(scene)), light_of(scene)))(scene_of())
    toward = replace(day, source=(1.0, 0.0, 0.0))
    sunny, shaded = (np.array(toward.on((0.82, 0.84, 0.85), (side, 0.0, 0.0))) for side in (1.0, -1.0))
    assert (sunny > 0.85 * np.array(light.lit[2]) * scene_of().ground.light).all()
    assert (shaded < 0.6 * sunny).all()


def facade_at(time, *, lamps):
    scene = scene_of(time=time)
    grid = np.meshgrid(np.linspace(0, 40, 400), np.linspace(0, 40, 400))
    along, up = (axis.astype(np.float32) for axis in grid)
    wall = Wall(along, up, np.full_like(up, 0.05), np.full_like(up, 0.05))
    house = replace(
        draw_facade(np.random.default_rng(1)), color=(0.7, 0.7, 0.7), bay=4.0, floor=4.0, window=(0.5, 0.5), base=1.0,
        glass=0.1, balcony=0.0, lamps=lamps,
    )  # fmt: skip
    day = daylight_of(scene, light_of(scene))
    picture = paint_facade(house, wall, day, day.on((1, 1, 1), (0, -1, 0)), day.ambient, np.zeros_like(up))
    inside = ((along % 4 > 1.3) & (along % 4 < 2.7)) & ((up - 1) % 4 > 0.3) & ((up - 1) % 4 < 1.7)
    outside = (along % 4 < 0.9) | (along % 4 > 3.1)
    return picture[:, inside].mean(), picture[:, outside].mean()


def test_windows_are_darker_than_a_white_wall_by_day_and_brighter_by_night():
    by_day, by_night, dark = facade_at('day', lamps=1.0), facade_at('night', lamps=1.0), facade_at('night', lamps=0.0)
    assert by_day[0] < 0.7 * by_day[1]
    assert by_night[0] > 3 * by_night[1]
    assert dark[0] < by_night[0] / 5


@pytest.mark.parametrize('skyline', SKYLINES)
@pytest.mark.parametrize('camera', [FISHEYE, PLANAR])
def test_outlines_stay_while_the_light_changes(skyline, camera):
    seen = [
        render_sky(number, 64, scene=scene_of(skyline, 30, time=time, camera=camera, poles=2), ground_seed=4)
        for number, time in enumerate(('day', 'dusk', 'night'))
    ]
    assert skyline == 'none' or foreground(seen[0]).any()
    for other in seen[1:]:
        one, another = (np.where(foreground(rendered), rendered.labels, 0) for rendered in (seen[0], other))
        np.testing.assert_array_equal(one, another)


@pytest.mark.parametrize(
    ('skyline', 'label', 'least'),
    [
        ('hills', SkyLabel.TERRAIN, 0.04),
        ('trees', SkyLabel.TREE, 0.08),
        ('buildings', SkyLabel.BUILDING, 0.05),
        ('street', SkyLabel.BUILDING, 0.2),
    ],
)
def test_a_skyline_is_labeled_by_what_it_is_made_of(skyline, label, least):
    height = 65 if skyline == 'street' else 20
    shares = [(render_sky(n, 64, scene=scene_of(skyline, height, seed=n)).labels == label).mean() for n in range(8)]
    assert np.mean(shares) > least


def test_streets_reach_high_and_open_horizons_stay_low():
    elevation, _, inside = angles(FISHEYE, 64)
    for number in range(5):
        street = foreground(render_sky(number, 64, scene=scene_of('street', 70)))
        assert street[inside & (elevation > 40)].mean() > 0.15
        assert not street[elevation > 84].any()
        hills = foreground(render_sky(number, 64, scene=scene_of('hills', 6)))
        assert not hills[elevation > 15].any()


def test_pixels_labeled_as_sky_are_hardly_painted_and_others_are():
    for number, skyline in enumerate(SKYLINES):
        scene = scene_of(skyline, 35, poles=1, seed=number)
        bare = replace(
            scene, sensor=replace(scene.sensor, noise=0.0, softness=0, jpeg=0.0), sun=replace(scene.sun, glare=0.0)
        )
        with_, without = (
            render_sky(number, 96, scene=replace(bare, ground=ground)) for ground in (bare.ground, Ground('none', 0, 0))
        )
        changed = (with_.image != without.image).any(-1)
        hidden = foreground(with_) & ~foreground(without)
        assert skyline == 'none' or changed[hidden].mean() > 0.97
        assert changed[with_.labels == 0].mean() < 0.12


def test_sky_is_seen_through_trees():
    gaps = []
    for number in range(6):
        rendered = render_sky(number, 200, scene=scene_of('trees', 30, seed=number, bare=True))
        tree = rendered.labels == SkyLabel.TREE
        # Pixels of the sky with leaves or twigs on both sides.
        gaps.append(((rendered.labels == 0)[:, 2:-2] & tree[:, :-4] & tree[:, 4:]).sum())
    assert np.median(gaps) > 30


def test_snow_whitens_the_ground():
    pair = [
        render_sky(2, 64, scene=scene_of('hills', 5, camera=replace(PLANAR, elevation=5.0), snow=snow))
        for snow in (True, False)
    ]
    levels = [rendered.image[rendered.labels == SkyLabel.TERRAIN].mean() for rendered in pair]
    assert levels[0] > 1.3 * levels[1]


def test_the_rim_of_a_lens_is_outside_of_it():
    scene = scene_of(camera=replace(FISHEYE, rim=0.1, rim_light=0.5, surround=255))
    rendered = render_sky(0, 200, scene=scene)
    rows, columns = np.mgrid[:200, :200]
    radius = np.hypot(rows - 99.5, columns - 99.5) / 100
    outside = rendered.labels == SkyLabel.OUTSIDE_THE_LENS
    assert outside[radius > 0.92].all() and not outside[radius < 0.88].any()
    assert (rendered.image[radius > 1.01] == 255).all()
    assert rendered.image[(radius > 0.92) & (radius < 0.98)].mean() < rendered.image[radius < 0.88].mean()


def test_an_unknown_skyline_is_refused():
    with pytest.raises(ValueError, match="skyline must be one of none, hills.*got 'castles'"):
        render_sky(0, 64, scene=scene_of('castles'))


def test_about_half_of_the_pictures_have_a_foreground():
    scenes = [sample_scene(seed) for seed in range(600)]
    grounds = {
        kind: [scene.ground.skyline for scene in scenes if scene.camera.kind == kind] for kind in ('fisheye', 'planar')
    }
    assert np.mean([skyline != 'none' for kinds in grounds.values() for skyline in kinds]) == pytest.approx(
        0.6, abs=0.12
    )
    assert np.mean([skyline == 'street' for skyline in grounds['fisheye']]) == pytest.approx(0.15, abs=0.05)
    assert np.mean([skyline == 'near' for skyline in grounds['fisheye']]) == pytest.approx(0.1, abs=0.05)
