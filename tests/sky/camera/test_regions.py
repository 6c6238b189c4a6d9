"""Parts of the sky, on domes of known cover."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.sky import known_words
from hyperbolic_seg.sky.camera.lens import Lens
from hyperbolic_seg.sky.camera.observation import as_record, observe
from hyperbolic_seg.sky.camera.regions import Region, read_regions
from hyperbolic_seg.sky.camera.sky_camera import SkyCamera
from hyperbolic_seg.sky.camera.sun import Sun
from hyperbolic_seg.text import Vocabulary

SIZE = 201
LENS = Lens.from_dome((100.0, 100.0), 100.0)
IMAGE = np.full((SIZE, SIZE, 3), 180, np.uint8)
DOME = 'center: [100, 100]\nradius: 100\nimage_size: [201, 201]\nzenith_limit: 90\nfield_of_view: 180\n'
OSLO = 'latitude: 59.9\nlongitude: 10.7\ntime_format: "%Y%m%d_%H%M"\ntimezone: UTC\nsun_angle: 5\n'
WORDS = Vocabulary.from_prompts(['clear sky', 'cloud', 'obstruction'], known=known_words())


def share(region, sun=None, lens=LENS):
    """Share of the upper hemisphere that a region covers."""
    return lens.solid_angles(SIZE, SIZE)[region.mask(lens.directions(SIZE, SIZE), sun)].sum() / (2 * math.pi)


def camera(path, regions, more=''):
    (path / 'camera.yaml').write_text(f'{DOME}{more}regions: {regions}\n')
    return SkyCamera.load(path / 'camera.yaml')


def seen(camera, cloudy, name='a.jpg', hidden=None):
    """Record of a picture whose pixels are cloud where ``cloudy``, and no sky where ``hidden``, (H, W)."""
    probabilities = np.stack([~cloudy, cloudy, np.zeros_like(cloudy)]).astype(np.float32)
    if hidden is not None:
        probabilities[:, hidden] = np.array([0.001, 0.001, 0.998], np.float32)[:, None]
    view = camera.view(IMAGE, name)
    return as_record(observe(probabilities, WORDS, view), view)


@pytest.mark.parametrize(
    ('region', 'expected'),
    [
        (Region(zenith_angle=(0, 30)), 1 - math.cos(math.radians(30))),
        (Region(elevation=(0, 30)), math.sin(math.radians(30))),
        (Region(azimuth=(0, 90)), 1 / 4),
        (Region(azimuth=(315, 45)), 1 / 4),
        (Region(azimuth=(-45, 45)), 1 / 4),
        (Region(azimuth=(0, 360)), 1),
        (Region(azimuth=(90, 60)), 330 / 360),
        (Region(azimuth=(135, 225), elevation=(10, 60)), (math.sin(math.radians(60)) - math.sin(math.radians(10))) / 4),
    ],
)
def test_a_region_has_the_solid_angle_of_its_limits(region, expected):
    assert share(region) == pytest.approx(expected, rel=0.02)
    assert share(region, lens=Lens.from_dome((100.0, 100.0), 100.0, north=50, east_left=False)) == pytest.approx(
        expected, rel=0.02
    )


def test_a_ring_around_the_sun_has_the_solid_angle_of_a_ring():
    ring, sun = Region(sun_distance=(5, 30)), Sun(45.0, 200.0)
    expected = math.cos(math.radians(5)) - math.cos(math.radians(30))
    assert share(ring, sun) == pytest.approx(expected, rel=0.02)
    rows, columns = np.nonzero(Region(sun_distance=(0, 3)).mask(LENS.directions(SIZE, SIZE), sun))
    assert (columns.mean(), rows.mean()) == pytest.approx(np.stack(LENS.pixels(45.0, 200.0)), abs=0.5)
    for unknown in (None, Sun(-1.0, 200.0)):
        assert ring.mask(LENS.directions(SIZE, SIZE), unknown) is None


def test_regions_of_a_tilted_camera_are_those_of_the_true_sky():
    tilted = Lens.from_dome((100.0, 100.0), 100.0, tilt=20, tilt_azimuth=90)
    assert share(Region(zenith_angle=(0, 30)), lens=tilted) == pytest.approx(1 - math.cos(math.radians(30)), rel=0.02)
    inside = Region(zenith_angle=(0, 30)).mask(tilted.directions(SIZE, SIZE), None)
    assert np.nonzero(inside)[1].mean() == pytest.approx(100 + 100 * 20 / 90, abs=1), 'west, where east is left'


def test_a_dome_with_cloud_in_the_north_is_overcast_there(tmp_path):
    halves = 'north: {azimuth: [270, 90]}, south: {azimuth: [90, 270]}, east: {azimuth: [0, 180]}'
    of_file = camera(tmp_path, f'{{{halves}, all: {{elevation: [0, 90]}}}}')
    rows = np.arange(SIZE)[:, None].repeat(SIZE, 1)
    record = seen(of_file, rows < 100)
    found = {name: (each['fraction'], each['oktas']) for name, each in record['regions'].items()}
    assert found['north'] == (pytest.approx(1, abs=0.01), 8) and found['south'] == (pytest.approx(0, abs=0.01), 0)
    assert found['east'] == (pytest.approx(0.5, abs=0.01), 4) and found['all'][0] == pytest.approx(0.5, abs=0.01)
    assert set(record['regions']['all']) == {'fraction', 'low', 'high', 'oktas'}
    assert record['regions']['all'] == pytest.approx(record['cloud'], abs=0.01)


def test_a_cloud_at_the_zenith_counts_by_its_solid_angle(tmp_path):
    of_file = camera(tmp_path, '{zenith: {zenith_angle: [0, 30]}, low: {elevation: [10, 40]}}')
    zenith = LENS.directions(SIZE, SIZE)[0] < 20
    found = seen(of_file, zenith)['regions']
    expected = (1 - math.cos(math.radians(20))) / (1 - math.cos(math.radians(30)))
    assert found['zenith']['fraction'] == pytest.approx(expected, abs=0.01) and found['low']['fraction'] == 0


def test_cover_near_the_sun_is_null_without_a_sun(tmp_path):
    of_file = camera(tmp_path, '{glow: {sun_distance: [5, 30]}, disk: {sun_distance: [0, 4]}}', OSLO)
    cloudy = np.arange(SIZE)[:, None].repeat(SIZE, 1) > 100  # the south
    day = seen(of_file, cloudy, 'a_20240717_1120.jpg')
    assert day['regions']['glow']['fraction'] == pytest.approx(1, abs=0.01) and day['cloud']['fraction'] < 0.6
    assert day['regions']['disk'] is None, 'within the mask around the sun'
    assert seen(of_file, cloudy, 'a_20240717_2320.jpg')['regions'] == dict(glow=None, disk=None)
    assert seen(of_file, cloudy, 'a.jpg')['regions'] == dict(glow=None, disk=None)


def test_a_region_of_which_no_sky_is_seen_has_no_cover(tmp_path):
    of_file = camera(
        tmp_path, '{north: {azimuth: [270, 90]}, below: {elevation: [-20, -10]}, low: {elevation: [0, 20]}}'
    )
    record = seen(of_file, np.zeros((SIZE, SIZE), bool), hidden=np.arange(SIZE)[:, None].repeat(SIZE, 1) < 110)
    assert record['regions']['north'] is record['regions']['below'] is None
    assert record['regions']['low']['fraction'] == pytest.approx(0, abs=0.01)
    view = of_file.view(IMAGE, 'a.jpg')
    without_clear_sky = Vocabulary.from_prompts(['cumulus', 'cirrus'], known=known_words())
    found = observe(np.full((2, SIZE, SIZE), 0.5, np.float32), without_clear_sky, view)
    assert as_record(found, view)['regions'] == dict(north=None, below=None, low=None)


@pytest.mark.parametrize(
    ('regions', 'message'),
    [
        ('[zenith]', 'expected up to 100 names with their limits'),
        ('{zenith: 30}', "the region 'zenith': 30: expected limits of zenith_angle, elevation, azimuth, sun_distance"),
        ('{zenith: {}}', "the region 'zenith': no limits"),
        ('{zenith: {angle: [0, 30]}}', "the region 'zenith' has 'angle': expected limits of zenith_angle"),
        ('{zenith: {zenith_angle: 30}}', 'zenith_angle: 30: expected two numbers, in brackets'),
        ('{zenith: {zenith_angle: [0, 30, 60]}}', 'expected two numbers'),
        ('{zenith: {zenith_angle: [0, true]}}', 'expected two numbers'),
        ('{zenith: {zenith_angle: [30, 0]}}', r'zenith_angle: \[30, 0\]: expected the smaller limit first'),
        ('{zenith: {zenith_angle: [30, 30]}}', 'two that differ'),
        ('{zenith: {zenith_angle: [0, 181]}}', 'expected degrees from 0 to 180'),
        ('{zenith: {zenith_angle: [0, .nan]}}', 'expected degrees from 0 to 180'),
        ('{zenith: {zenith_angle: [0, 30], elevation: [60, 90]}}', 'limits of the same angle'),
        ('{low: {elevation: [60, 10]}}', 'the smaller limit first'),
        ('{low: {elevation: [10, 100]}}', 'expected degrees from -90 to 90'),
        ('{south: {azimuth: [90, 90]}}', 'expected two azimuths'),
        ('{south: {azimuth: [360, 0]}}', 'expected two azimuths'),
        ('{south: {azimuth: [-300, 300]}}', 'expected two azimuths'),
        ('{south: {azimuth: [0, 400]}}', 'expected degrees from -360 to 360'),
        ('{sun: {sun_distance: [-1, 30]}}', 'expected degrees from 0 to 180'),
        ('{south: {azimuth: [0, 90]}, south: {azimuth: [0, 80]}}', "'south' a second time in line"),
        ('{south: {azimuth: [0, 90]}, South : {azimuth: [0, 80]}}', "'south' and 'South' have the same name"),
        ('{3: {azimuth: [0, 90]}}', 'the region 3: expected a name'),
        ('{"": {azimuth: [0, 90]}}', 'expected a name'),
    ],
)
def test_what_is_wrong_with_a_region_is_named(tmp_path, regions, message):
    with pytest.raises(ValueError, match=message) as error:
        camera(tmp_path, regions)
    assert 'camera.yaml' in str(error.value) and len(str(error.value)) < 1000


def test_a_camera_made_in_python_has_regions_too():
    made = SkyCamera(center=(100.0, 100.0), radius=100, regions={'zenith': Region(zenith_angle=(0, 30))})
    assert made.view(IMAGE, 'a.jpg').regions['zenith'].any() and hash(made)
    with pytest.raises(ValueError, match="regions: 'zenith': expected a Region"):
        SkyCamera(regions={'zenith': {'zenith_angle': [0, 30]}})


LIMITS = st.lists(st.floats() | st.integers() | st.booleans() | st.text(max_size=3), max_size=3)
NAMES = st.sampled_from(['zenith_angle', 'elevation', 'azimuth', 'sun_distance', 'other'])


@given(st.dictionaries(st.text(max_size=3), st.dictionaries(NAMES, LIMITS)))
def test_any_regions_are_read_or_refused(content):
    try:
        found = read_regions(content)
    except ValueError:
        return
    assert list(found) == list(content)
