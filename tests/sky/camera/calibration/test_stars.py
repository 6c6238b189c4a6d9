"""Nights with stars: pictures whose stars are where astropy has them, and points that are none."""

import warnings
from datetime import datetime, timedelta, timezone

import astropy.units as u
import cv2
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body
from astropy.time import Time
from astropy.utils import iers
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperbolic_seg.sky.camera import PROJECTIONS, Lens, Place, SkyCamera
from hyperbolic_seg.sky.camera.bright_stars import bright_stars
from hyperbolic_seg.sky.camera.calibration import (
    Bodies,
    Center,
    Point,
    Sightings,
    calibrate,
    find_points,
    orient_by_stars,
    readings_of_axis,
    shift_of,
    star_field,
)
from hyperbolic_seg.sky.camera.calibration.stars import scrambled
from hyperbolic_seg.sky.renderer import Camera, Ground, PointLight, Station, render_station

SYDNEY, SIZE, FORMAT = Place(-33.87, 151.21, 30.0), 240, '%Y%m%d_%H%M%S'
EVENING = datetime(2024, 1, 8, 11, tzinfo=timezone.utc)
PLANETS = ('venus', 'mars', 'jupiter', 'saturn')
LENS = dict(projection='equisolid', field_of_view=178, north=25, tilt=4, tilt_azimuth=100)
NO_SUN = Sightings(np.zeros((0, 2)), np.zeros(0, int)), Bodies(np.zeros((0, 2)), np.zeros(0, bool), np.zeros(0, bool))


def by_astropy(times, place):
    """Return elevations and azimuths of stars and planets by astropy, with its refraction, and magnitudes, (T, N)."""
    here = EarthLocation.from_geodetic(place.longitude * u.deg, place.latitude * u.deg, place.altitude * u.m)
    off = iers.conf.set_temp('auto_download', False), iers.conf.set_temp('auto_max_age', None)
    with warnings.catch_warnings(), off[0], off[1]:
        warnings.simplefilter('ignore')
        when = Time(times)[:, None]
        frame = AltAz(obstime=when, location=here, pressure=1010 * u.hPa, temperature=12 * u.deg_C, obswl=0.55 * u.um)
        numbers = np.array([[star.right_ascension, star.declination] for star in bright_stars()])
        stars = SkyCoord(*(numbers.T * u.deg)).transform_to(frame)
        planets = [get_body(name, when, here, ephemeris='builtin').transform_to(frame) for name in PLANETS]
    elevations = np.concatenate([stars.alt.deg, *(one.alt.deg for one in planets)], 1)
    azimuths = np.concatenate([stars.az.deg, *(one.az.deg for one in planets)], 1)
    return elevations, azimuths, [*(star.magnitude for star in bright_stars()), -4.0, 1.4, -2.6, 0.9]


@pytest.fixture(scope='module')
def night(tmp_path_factory):
    """Pictures of a night without a moon, with trees, text and clouds in some."""
    folder = tmp_path_factory.mktemp('night')
    camera = Camera('fisheye', 90.0, 0.0, 178.0, 25.0, 0.95, 'equisolid', 4.0, 100.0, True, (0.02, -0.03))
    station = Station(camera, Ground('trees', 12, 2), SYDNEY, 5, '%Y-%m-%d %H:%M', (0.3, 0.25))
    times = [EVENING + timedelta(minutes=37 * step) for step in range(10)]
    elevations, azimuths, magnitudes = by_astropy(times, SYDNEY)
    for number, time in enumerate(times):
        numbers = zip(elevations[number], azimuths[number], magnitudes, strict=True)
        points = [PointLight(float(up), float(around), magnitude) for up, around, magnitude in numbers]
        rendered = render_station(station, time, SIZE, clouds=number if number % 3 == 1 else None, points=points)
        cv2.imwrite(str(folder / f'{time:{FORMAT}}.png'), rendered.image)
    return folder


@pytest.fixture(scope='module')
def seen(night):
    """Points of light in each picture, and times."""
    files = sorted(night.iterdir())
    times = [datetime.strptime(file.stem, FORMAT).replace(tzinfo=timezone.utc) for file in files]
    return [find_points(cv2.imread(str(file))) for file in files], times


def true_lens():
    return Lens.from_dome((SIZE / 2 * 1.02 - 0.5, SIZE / 2 * 0.97 - 0.5), SIZE / 2 * 0.95, **LENS)


def oriented(points, times, place=SYDNEY, **options):
    field = star_field(points, times, place, side=SIZE, **options)
    center = Center((121.9, 115.9), 0.5, 114.0)
    return orient_by_stars(field, *NO_SUN, center=center, focals=114 / np.radians([80, 90, 100]), start=None)


def apart(one, other):
    """Angles between zenith angles and azimuths, degrees."""
    (z, a), (y, b) = np.radians(one), np.radians(other)
    return np.degrees(np.arccos(np.clip(np.cos(z) * np.cos(y) + np.sin(z) * np.sin(y) * np.cos(a - b), -1, 1)))


def test_a_night_gives_the_camera_file_within_half_a_degree(night):
    known = SkyCamera(**SYDNEY._asdict(), time_format=FORMAT, timezone='UTC')
    found = calibrate(sorted(map(str, night.iterdir())), known)
    certain = {part.name: part.certain and bool(part.settings) for part in found.parts}
    assert certain['lens'] and certain['north'] and certain['tilt'] and not found.warnings
    assert (found.settings['projection'], found.settings['east']) == ('equisolid', 'left')
    assert found.settings['north'] == pytest.approx(25, abs=0.5)
    assert found.agreement.stars > 80 and found.agreement.pictures == 0
    true, own = true_lens().directions(SIZE, SIZE), found.orientation.fit.lens.directions(SIZE, SIZE)
    assert np.nanmax(apart(own, true)[true.zenith < 80]) < 0.5
    assert apart((found.settings['tilt'], found.settings['tilt_azimuth']), (4, 100)) < 0.5


@pytest.mark.parametrize('hours', [2, -7])
def test_a_wrong_clock_is_named(seen, hours):
    points, times = seen
    found = oriented(points, [time + timedelta(hours=hours) for time in times], lowest=-90.0).found
    assert found.tilt > 10
    assert -hours in [one.hours for one in readings_of_axis(found.tilt, found.toward, SYDNEY)]


def test_the_other_hemisphere_is_named(seen):
    place = SYDNEY._replace(latitude=-SYDNEY.latitude)
    found = oriented(*seen, place, lowest=-90.0).found
    assert [one.words for one in readings_of_axis(found.tilt, found.toward, place)] == [
        'the sign of the latitude is wrong'
    ]


def test_the_right_time_is_no_other_reading():
    assert readings_of_axis(1.0, 40.0, SYDNEY) == []
    assert readings_of_axis(60.0, 0.0, SYDNEY) == []


def test_times_in_disorder_are_refused(seen):
    points, times = seen
    order = np.random.default_rng(1).permutation(len(times))
    with pytest.raises(ValueError, match='at random times: expected at least 20 and 2 times as many'):
        oriented(points, [times[number] + timedelta(hours=float(5 * number % 7)) for number in order])


def test_noise_is_refused_and_lamps_do_not_count(seen):
    random, times = np.random.default_rng(0), seen[1]
    noise = [[Point(tuple(random.uniform(20, 220, 2)), 9.0 - rank) for rank in range(9)] for _ in times]
    with pytest.raises(ValueError, match='at random times'):
        oriented(noise, times)
    lamps = [[Point((30.0 + 20 * rank, 77.0), 9.0) for rank in range(8)] for _ in times]
    assert star_field(lamps, times, SYDNEY, side=SIZE) is None
    both = star_field([own + lamp for own, lamp in zip(seen[0], lamps, strict=True)], times, SYDNEY, side=SIZE)
    assert not (both.points[:, 1] == 77).any() and len(both.points) > 100


def test_random_times_have_other_stars(seen):
    field = star_field(*seen, SYDNEY, side=SIZE)
    other = scrambled(field, 0)
    assert other.directions.shape == field.directions.shape
    assert not np.allclose(other.directions[:, 0], field.directions[:, 0])


@settings(max_examples=20, deadline=None)
@given(st.floats(20, 80), st.floats(20, 80), st.floats(0.7, 1.6), st.integers(0, 99))
def test_the_center_of_a_star_is_found_between_pixels(x, y, width, seed):
    rows, columns = np.mgrid[:100, :100]
    star = 90 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))
    image = 40 + star[..., None] + np.random.default_rng(seed).normal(0, 1.5, (100, 100, 3))
    point, *_ = find_points(np.clip(image.round(), 0, 255).astype(np.uint8))
    assert point.center == pytest.approx((x, y), abs=0.15)


def test_noise_edges_wires_and_a_moon_are_no_points():
    image = np.random.default_rng(0).normal(40, 2, (200, 200, 3))
    image[150:] = 90
    image = np.clip(image.round(), 0, 255).astype(np.uint8)
    cv2.line(image, (0, 20), (199, 90), (140, 140, 140), 1, cv2.LINE_AA)
    cv2.circle(image, (60, 110), 12, (250, 250, 250), -1)
    near = [point for point in find_points(image) if point.light > 50]
    assert near == []


@pytest.mark.parametrize('name', PROJECTIONS)
@pytest.mark.parametrize('zenith', [5.0, 40.0, 70.0])
def test_a_disk_is_shifted_as_counted_in_pixels(name, zenith):
    """The disk is drawn by the directions of the pixels."""
    lens = Lens.from_dome((599.5, 599.5), 580, projection=name, field_of_view=180)
    disk = lens.directions(1200, 1200).separations(elevation=90 - zenith, azimuth=0.0) < 6
    rows, columns = np.nonzero(disk)
    center, focal = rows.mean(), lens.focal[0]
    spread = np.sqrt(((rows - center) ** 2 + (columns - columns.mean()) ** 2).mean()) / focal
    shift = 599.5 - center - focal * lens.projection.radius(np.radians(zenith))
    own = focal * shift_of(lens.projection, np.radians([zenith]), np.array([spread]))[0]
    assert own == pytest.approx(shift, abs=0.15)
