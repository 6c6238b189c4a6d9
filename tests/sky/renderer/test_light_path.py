"""What is in the way of the light: where it is, what it looks like, and that the labels say so."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hyperbolic_seg.sky.camera import Lens
from hyperbolic_seg.sky.renderer import (
    Drops,
    Flare,
    Flyer,
    Night,
    Overlay,
    SkyLabel,
    Sun,
    Text,
    render_sky,
    sample_scene,
)

SIZE = 200
SCENES = [sample_scene(seed) for seed in range(1500)]


def plain(seed=0, *, camera='fisheye', time='day', genera=(), **changes):
    """A scene without noise, blur, JPEG, ground, and all that is in the way of the light."""
    scene = sample_scene(seed, camera=camera, time=time, genera=genera)
    sensor = replace(scene.sensor, noise=0.0, softness=0, jpeg=0.0, vignetting=0.0)
    ground = replace(scene.ground, skyline='none', poles=0)
    return replace(scene.plain(), sensor=sensor, ground=ground, **({'night': Night()} | changes))


def rendered(scene, seed=0, size=SIZE):
    return render_sky(seed, size, scene=scene)


def changed(scene, seed=0, *, least=1, **removed):
    """The image, and True for pixels that differ from those of the scene without something."""
    image, without = rendered(scene, seed), rendered(replace(scene, **removed), seed)
    return image, np.abs(image.image.astype(int) - without.image).max(axis=2) >= least


def lens_of(camera, size=SIZE):
    return Lens.from_dome(
        tuple(size / 2 * (1 + off) - 0.5 for off in camera.center),
        size / 2 * camera.dome_radius,
        field_of_view=camera.field_of_view,
        north=camera.roll,
        east_left=camera.east_left,
    )


def place_of(camera, azimuth, elevation):
    return tuple(float(x) for x in lens_of(camera).pixels(np.array(90 - elevation), np.array(azimuth)))


def middle(mask):
    rows, columns = np.nonzero(mask)
    return columns.mean(), rows.mean()


def moonlit(lit, limb=0.0, radius=6.0):
    scene = plain(time='night', camera='planar')
    return replace(scene, sun=Sun(scene.camera.elevation, scene.camera.azimuth, radius, 1.0, lit, limb))


@pytest.mark.parametrize('lit', [0.1, 0.35, 0.5, 0.8, 1.0])
def test_the_lit_share_of_the_moon_is_that_of_its_phase(lit):
    scene = moonlit(lit)
    shown = (rendered(scene, size=300).labels == SkyLabel.MOON).sum()
    # A planar camera shows a small circle around its axis as a circle.
    radius = 150 * math.tan(math.radians(6)) / math.tan(math.radians(scene.camera.field_of_view / 2))
    assert shown == pytest.approx(lit * math.pi * radius**2, rel=0.06)


@pytest.mark.parametrize(('limb', 'right', 'down'), [(0, 0, -1), (90, 1, 0), (180, 0, 1), (270, -1, 0)])
def test_the_lit_side_of_the_moon_points_where_it_should(limb, right, down):
    scene = moonlit(0.5, limb)
    scene = replace(scene, camera=replace(scene.camera, roll=0.0))
    column, row = middle(rendered(scene).labels == SkyLabel.MOON)
    column, row = column - (SIZE - 1) / 2, row - (SIZE - 1) / 2
    assert (column, row) == pytest.approx((right * math.hypot(column, row), down * math.hypot(column, row)), abs=0.6)


def test_the_moon_of_a_day_is_pale_and_in_its_place():
    scene = plain(moon=Sun(50, 120, 3.0, 0.7, 0.9))
    scene = replace(scene, sun=replace(scene.sun, azimuth=300.0, elevation=30.0))
    image, differs = changed(scene, least=20, moon=None)
    moon = image.labels == SkyLabel.MOON
    assert middle(moon) == pytest.approx(place_of(scene.camera, 120, 50), abs=1.2)
    assert (moon & differs).sum() > 0.95 * moon.sum() > 10
    assert image.image[moon].mean() < image.image[image.labels == SkyLabel.SUN].mean() - 20


def test_the_halo_is_22_degrees_from_the_sun_and_red_inside():
    scene = plain(1, genera=['cirrostratus'], halo=0.8)
    sun = replace(scene.sun, elevation=70.0, azimuth=0.0, radius=1.8, glare=1.0)
    layer = replace(scene.layers[0], cover=1.0, opacity=0.5)
    scene = replace(scene, sun=sun, layers=(layer,), sensor=replace(scene.sensor, exposure=0.5))
    with_it, without = (rendered(each, size=400).image.astype(int) for each in (scene, replace(scene, halo=0.0)))
    off = lens_of(scene.camera, 400).directions(400, 400).separations(elevation=70, azimuth=0)
    ring = np.round(np.nan_to_num(off, nan=180) * 2).astype(int)
    profiles = [[(with_it - without)[ring == r, channel].mean() for r in range(10, 80)] for channel in (0, 2)]
    blue, red = (5 + np.argmax(profile) / 2 for profile in profiles)
    assert 21.5 <= red <= blue <= 23 and max(profiles[1]) > 8
    inner, outer = (profiles[1][round(2 * (angle - 5))] for angle in (19.5, 24.5))
    assert inner < 0.2 * max(profiles[1]) < outer


def glaring(**flare):
    scene = plain(5, camera='fisheye', flare=Flare(**flare))
    return replace(scene, sun=Sun(55.0, 60.0, 2.0, 1.0), camera=replace(scene.camera, field_of_view=180.0))


def test_glare_that_saturates_is_labeled_and_surrounds_the_sun():
    image, without = (rendered(replace(glaring(bloom=bloom), sun=Sun(55.0, 60.0, 4.0, 1.0))) for bloom in (1.0, 0.0))
    sun, glare = image.labels == SkyLabel.SUN, image.labels == SkyLabel.LENS_FLARE
    assert middle(glare | sun) == pytest.approx(place_of(image.scene.camera, 60, 55), abs=1)
    assert glare.sum() > 20 and image.image[glare].min() > 225
    assert (without.labels == SkyLabel.LENS_FLARE).sum() < glare.sum() / 2


@pytest.mark.parametrize(('blades', 'rays'), [(5, 10), (6, 6), (7, 14), (8, 8)])
def test_an_iris_with_an_odd_number_of_blades_gives_twice_the_rays(blades, rays):
    scene = glaring(star=1.5, blades=blades, turn=10.0)
    image, without = (rendered(each).image.astype(int)[..., 1] for each in (scene, replace(scene, flare=Flare())))
    column, row = place_of(scene.camera, 60, 55)
    angles = np.radians(np.arange(360))
    across, down = (center + 22 * f(angles) for center, f in ((column, np.cos), (row, np.sin)))
    light = (image - without)[np.round(down).astype(int), np.round(across).astype(int)]
    strong = light > (light.max() + light.min()) / 2
    assert (strong & ~np.roll(strong, 1)).sum() == rays


def test_ghosts_lie_on_the_line_through_the_sun_and_the_center():
    scene = glaring(ghosts=1.0)
    image, differs = changed(scene, least=30, flare=Flare())
    column, row = place_of(scene.camera, 60, 55)
    right, down = column - (SIZE - 1) / 2, row - (SIZE - 1) / 2
    rows, columns = np.nonzero(differs)
    off = ((columns - (SIZE - 1) / 2) * down - (rows - (SIZE - 1) / 2) * right) / math.hypot(right, down)
    assert len(off) > 30 and abs(off.mean()) < 2
    hidden = image.labels == SkyLabel.LENS_FLARE
    assert hidden.any() and differs[hidden & (image.labels != SkyLabel.SUN)].mean() > 0.5


def test_cloud_dims_ghosts_and_thick_cloud_hides_them():
    light = []
    for genera, opacity in (([], 0), (['cirrus'], 0.5), (['nimbostratus'], 1)):
        scene = replace(glaring(ghosts=1.0), layers=plain(5, genera=genera).layers)
        scene = replace(scene, layers=tuple(replace(each, cover=1.0, opacity=opacity) for each in scene.layers))
        image, without = (rendered(each).image.astype(int) for each in (scene, replace(scene, flare=Flare())))
        light.append((image - without).clip(0).sum())
    assert light[0] > 1.3 * light[1] > 0 and light[2] == 0


def test_thin_cloud_makes_a_bright_diffuse_spot_of_the_sun():
    scene = replace(glaring(), layers=plain(5, genera=['altostratus']).layers)
    scene = replace(scene, layers=tuple(replace(each, cover=1.0, opacity=0.8) for each in scene.layers))
    image = rendered(replace(scene, sensor=replace(scene.sensor, exposure=0.4)))
    assert set(np.unique(image.labels)) == {SkyLabel.ALTOSTRATUS, SkyLabel.OUTSIDE_THE_LENS}
    light = cv2.blur(image.image.astype(np.float32).sum(2), (5, 5))
    row, column = divmod(int(light.argmax()), SIZE)
    assert (column, row) == pytest.approx(place_of(scene.camera, 60, 55), abs=5)
    assert light.max() > 1.2 * np.median(light[image.labels == SkyLabel.ALTOSTRATUS])


def test_streaks_pass_through_the_sun_along_their_direction():
    scene = glaring(smear=1.3, smear_turn=30.0)
    _, differs = changed(scene, least=12, flare=Flare())
    column, row = place_of(scene.camera, 60, 55)
    rows, columns = np.nonzero(differs)
    along = (columns - column) * math.cos(math.radians(30)) + (rows - row) * math.sin(math.radians(30))
    across = (rows - row) * math.cos(math.radians(30)) - (columns - column) * math.sin(math.radians(30))
    assert along.min() < -20 and along.max() > 20
    assert (np.abs(across) <= 0.13 * np.abs(along) + 2).all()


def test_stars_are_hidden_by_cloud_and_number_what_is_asked():
    night = plain(3, time='night', night=Night(stars=300))
    night = replace(night, sun=replace(night.sun, glare=0.0), camera=replace(night.camera, field_of_view=180.0))
    _, differs = changed(night, night=Night())
    dome = np.pi / 4 * night.camera.dome_radius**2
    assert 0.75 * 300 * dome < cv2.connectedComponents(differs.astype(np.uint8))[0] - 1 < 300
    assert not rendered(night).labels[differs].any()
    overcast = replace(night, layers=plain(3, time='night', genera=['nimbostratus']).layers)
    overcast = replace(overcast, layers=tuple(replace(each, cover=1.0, opacity=1.0) for each in overcast.layers))
    assert changed(overcast, night=Night(), least=3)[1].mean() < 0.001


def test_the_milky_way_follows_a_great_circle():
    scene = plain(3, time='night', night=Night(milky_way=1.2, pole=(40.0, 0.0)))
    scene = replace(scene, sun=replace(scene.sun, glare=0.0), city_light=0.1)
    image, without = (rendered(each).image.astype(int).sum(2) for each in (scene, replace(scene, night=Night())))
    view = lens_of(scene.camera).directions(SIZE, SIZE)
    latitude = np.abs(90 - view.separations(elevation=0, azimuth=40))
    light = [(image - without)[(latitude >= low) & (latitude < low + 10)].mean() for low in (0, 20, 40)]
    assert light[0] > 2 * light[1] > 2 * light[2]


def test_the_town_glows_in_its_direction_and_more_on_clouds():
    clear = plain(3, time='night', night=Night(town=0.5, town_azimuth=90.0, warmth=1.0))
    clear = replace(clear, sun=replace(clear.sun, glare=0.0), camera=replace(clear.camera, roll=0.0))
    layers = tuple(replace(x, cover=1.0, opacity=1.0) for x in plain(3, time='night', genera=['stratus']).layers)
    added = []  # light, of which the gray levels of a short exposure are the root
    for scene in (clear, replace(clear, layers=layers)):
        scene = replace(scene, sensor=replace(scene.sensor, exposure=0.8, contrast=0.0))
        image, without = (rendered(each).image.astype(int) for each in (scene, replace(scene, night=Night())))
        added.append(image**2 - without**2)
    places = [place_of(clear.camera, azimuth, 15) for azimuth in (90, 0, 270)]
    for each in added:
        east, north, west = (each[round(row), round(column)].sum() for column, row in places)
        assert east > 1.5 * north > 1.5 * west
    column, row = (round(x) for x in places[0])
    assert added[1][row, column].sum() > 1.5 * added[0][row, column].sum()
    assert added[0][row, column, 2] > added[0][row, column, 0]  # orange lamps


@pytest.mark.parametrize('kind', ['aeroplane', 'bird'])
def test_flyers_are_labeled_where_they_are_painted(kind):
    scene = plain(
        6, camera='planar', flyers=(Flyer(kind, -0.4, 0.2, 0.25, 30.0, 0.1), Flyer(kind, 0.5, -0.5, 0.2, 200.0, 0.0))
    )
    image, differs = changed(scene, least=10, flyers=())
    shown = image.labels == SkyLabel.STRUCTURE
    assert (shown & differs).sum() > 0.95 * shown.sum() > 50
    assert (differs & ~cv2.dilate(shown.astype(np.uint8), np.ones((3, 3))).astype(bool)).sum() == 0
    count, _, boxes, centers = cv2.connectedComponentsWithStats(shown.astype(np.uint8))
    assert count == 3
    expected = [((1 + column) * 100 - 0.5, (1 + row) * 100 - 0.5) for column, row in ((0.5, -0.5), (-0.4, 0.2))]
    assert centers[1:] == pytest.approx(np.array(expected), abs=4)
    assert boxes[2, cv2.CC_STAT_WIDTH] < 0.3 * 100


@pytest.mark.parametrize(
    'drops',
    [Drops('rain', 8, 0.08, 1.0, 4.0), Drops('dew', 120, 0.03, 0.9, 3.0), Drops('dirt', 9, 0.04, 0.9, 2.0)],
    ids=lambda drops: drops.kind,
)
def test_drops_change_what_is_labeled_and_nothing_else(drops):
    scene = plain(7, camera='planar', genera=['cumulus'], drops=drops)
    image, differs = changed(scene, drops=None)
    without = rendered(replace(scene, drops=None))
    wet = image.labels == SkyLabel.DROP
    assert 0.005 < wet.mean() < 0.5 and differs[wet].mean() > 0.9
    assert (image.labels[~wet] == without.labels[~wet]).all()
    near = cv2.dilate(wet.astype(np.uint8), np.ones((15, 15))).astype(bool)
    assert (differs & ~near).mean() < 0.01


def test_a_rain_drop_shows_the_picture_upside_down():
    scene = plain(7, camera='planar', drops=Drops('rain', 1, 0.4, 1.0, 8.0))
    scene = replace(scene, camera=replace(scene.camera, elevation=20.0, roll=0.0))
    image = rendered(replace(scene, ground=replace(scene.ground, height=10.0, skyline='hills')), 3)
    wet = image.labels == SkyLabel.DROP
    rows, columns = np.nonzero(wet)
    top, foot, column = rows.min(), rows.max(), round(columns.mean())
    bright = image.image[:, column].astype(int).sum(1)
    assert bright[top + (foot - top) // 4] < bright[foot - (foot - top) // 4]


def test_snow_lies_on_one_side_of_the_dome():
    image = rendered(plain(7, drops=Drops('snow', 0, 0.3, 0.4, 6.0)))
    snow = image.labels == SkyLabel.DROP
    column, row = middle(snow)
    assert 0.05 < snow.mean() < 0.7 and math.hypot(column - 99.5, row - 99.5) > 15


def test_overlays_are_labeled_where_they_are_drawn():
    texts = (
        Text('2024-06-21 12:00', 0.02, 0.1, 0.05, (245, 245, 245)),
        Text('T 1 C', 0.9, 0.99, 0.04, (0, 0, 0), (255, 255, 255)),
    )
    scene = plain(8, overlay=Overlay(texts, None, (1, 0), (0.0, 0.08), 0.02))
    image, differs = changed(scene, overlay=Overlay())
    drawn = image.labels == SkyLabel.OVERLAY
    assert 0.05 < drawn.mean() < 0.4
    assert (drawn & ~differs).mean() < 0.01 * drawn.sum() and (differs & ~drawn).mean() < 0.02
    assert drawn[[0, -1]].all() and drawn[:, [0, -1]].all()  # the frame
    assert (image.image[188:195, 60:100] == 0).all()  # the bar at the foot


def test_a_text_that_would_leave_the_image_is_moved_into_it():
    def letters(column, row):
        text = Text('SKY', column, row, 0.1, (245, 245, 245))
        return rendered(plain(8, camera='planar', overlay=Overlay((text,)))).labels == SkyLabel.OVERLAY

    inside = letters(0.3, 0.5)
    for place in ((-0.2, -0.2), (0.97, 1.2)):
        assert letters(*place).sum() == inside.sum() > 100


def test_letters_of_the_compass_stand_in_their_directions():
    scene = plain(8, overlay=Overlay(compass=15.0))
    scene = replace(scene, camera=replace(scene.camera, roll=35.0))
    drawn = rendered(scene).labels == SkyLabel.OVERLAY
    centers = cv2.connectedComponentsWithStats(drawn.astype(np.uint8))[3][1:]
    assert len(centers) == 4
    for azimuth in (0, 90, 180, 270):
        off = np.hypot(*(centers - np.array(place_of(scene.camera, azimuth, 15))).T)
        assert off.min() < 3


def test_overlays_have_the_marks_of_jpeg_and_no_noise():
    scene = plain(8, camera='planar', overlay=Overlay(bars=(0.2, 0.0)))
    noisy = replace(scene, sensor=replace(scene.sensor, noise=8.0))
    assert (rendered(noisy).image[:39] == 0).all()
    compressed = rendered(replace(noisy, sensor=replace(noisy.sensor, jpeg=2.0))).image[24:40]
    assert compressed.any() and compressed.max() < 60


def share(condition, among=lambda scene: True):
    chosen = [condition(scene) for scene in SCENES if among(scene)]
    return sum(chosen) / len(chosen)


def test_each_kind_has_its_share_of_the_images():
    assert 0.12 < share(lambda s: s.overlay != Overlay()) < 0.18
    assert 0.04 < share(lambda s: s.drops is not None) < 0.08
    assert 0.025 < share(lambda s: bool(s.flyers)) < 0.055
    assert 0.12 < share(lambda s: s.flare.ghosts > 0, lambda s: s.time != 'night') < 0.18
    assert share(lambda s: s.flare.ghosts > 0, lambda s: s.time == 'night') == 0
    veiled = [SkyLabel.CIRROSTRATUS]
    assert 0.25 < share(lambda s: s.halo > 0, lambda s: veiled[0] in [x.genus for x in s.layers]) < 0.55
    assert share(lambda s: s.halo > 0, lambda s: veiled[0] not in [x.genus for x in s.layers]) == 0
    assert {s.drops.kind for s in SCENES if s.drops} == {'rain', 'dew', 'snow', 'dirt'}
    assert {f.kind for s in SCENES for f in s.flyers} == {'aeroplane', 'bird'}
