"""The moon, against published positions, phases and eclipses."""

import socket
import warnings
from datetime import datetime, timezone

import numpy as np
import pytest

from hyperbolic_seg.sky.camera.lens import Lens
from hyperbolic_seg.sky.camera.moon import Moon, around_moon, moon_at
from hyperbolic_seg.sky.camera.sun import Place, Sun, sun_at

FLORIDA, INDIA, AUSTRALIA = Place(29, -81, 10), Place(15, 75, 10), Place(-30, 150, 10)
# JPL Horizons, DE431mx, apparent azimuth and elevation with refraction, of 2019-04-12.
HORIZONS = [
    (FLORIDA, '1901-01-26 00:00', 241.0586, 55.9002),
    (FLORIDA, '1904-01-01 00:00', 93.4681, 42.7742),
    (FLORIDA, '2027-08-03 00:00', 282.5542, 6.6188),
    (FLORIDA, '2027-11-01 00:00', 239.3571, 0.5415),
    (FLORIDA, '2028-12-25 00:00', 182.3013, 71.7173),
    (FLORIDA, '2030-03-20 00:00', 97.7775, 1.7309),
    (FLORIDA, '2032-06-17 00:00', 180.5029, 55.5248),
    (INDIA, '2018-12-02 00:00', 103.5091, 47.0534),
    (INDIA, '2018-12-02 02:50', 180.8772, 76.4556),
    (INDIA, '2018-12-02 08:30', 268.5256, 6.5991),
    (AUSTRALIA, '2018-12-02 00:00', 308.6575, 43.4962),
    (AUSTRALIA, '2018-12-02 03:40', 272.6538, 1.0230),
]
NIGHT, FULL = Sun(-30.0, 0.0), Moon(50.0, 120.0, 1.0)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def apart(one, other):
    """Angle between two directions (elevation, azimuth), degrees."""
    (h, a), (k, b) = np.radians(one), np.radians(other)
    return np.degrees(np.arccos(np.sin(h) * np.sin(k) + np.cos(h) * np.cos(k) * np.cos(a - b)))


@pytest.mark.parametrize(('place', 'time', 'azimuth', 'elevation'), HORIZONS)
def test_positions_are_those_of_horizons(place, time, azimuth, elevation):
    moon = moon_at(utc(time), place)
    assert apart((moon.elevation, moon.azimuth), (elevation, azimuth)) < 0.02


def test_the_phase_is_that_of_meeus():
    """Astronomical Algorithms, examples 47.a and 48.a, of the center of the Earth: so where the moon is overhead."""
    time = utc('1992-04-11 23:59:01')  # 0 h of dynamical time on the 12th
    sidereal = 280.46061837 + 360.98564736629 * (2448724.5 - 59 / 86400 - 2451545.0)  # equation 12.4
    moon = moon_at(time, Place(13.768368, (134.688470 - sidereal + 180) % 360 - 180))
    assert moon.elevation == pytest.approx(90, abs=0.1)  # latitudes are geodetic
    assert moon.illumination == pytest.approx(0.6786, abs=1e-3)


def test_the_moon_hides_the_sun_in_an_eclipse():
    """Total eclipse of April 8, 2024, at its greatest (NASA): the sun at an altitude of 69.8 degrees, azimuth 149.4."""
    time, place = utc('2024-04-08 18:17:16'), Place(25.29, -104.138)
    moon, sun = moon_at(time, place), sun_at(time, place)
    assert (sun.elevation, sun.azimuth) == pytest.approx((69.8, 149.4), abs=0.1)
    assert apart((moon.elevation, moon.azimuth), (sun.elevation, sun.azimuth)) < 0.01
    assert moon.illumination < 1e-4
    assert moon_at(utc('2022-05-16 04:11'), Place(-19, -64)).illumination > 0.9999, 'total eclipse of the moon'


@pytest.mark.parametrize('year', [1900, 1975, 2035, 2099])
def test_no_year_needs_a_table_or_warns(year, monkeypatch):
    def refuse(*args):
        raise AssertionError('a connection was opened')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        moon = moon_at(datetime(year, 7, 1, tzinfo=timezone.utc), FLORIDA)
    assert -90 <= moon.elevation <= 90 and 0 <= moon.azimuth <= 360 and 0 <= moon.illumination <= 1


def test_unknown_moments_are_refused():
    with pytest.raises(ValueError, match='has no time zone'):
        moon_at(datetime(2024, 1, 1), FLORIDA)
    with pytest.raises(ValueError, match='latitude of -90 to 90'):
        moon_at(utc('2024-01-01'), Place(139.7, 39.0))
    for year in (1899, 2100):
        with pytest.raises(ValueError, match='expected a year from 1900 to 2099, is the clock of the camera right'):
            moon_at(datetime(year, 6, 1, tzinfo=timezone.utc), FLORIDA)


def test_the_mask_is_a_cap_around_the_moon():
    lens = Lens.from_dome((99.5, 99.5), 99.5, field_of_view=180, tilt=10, tilt_azimuth=70)
    mask = around_moon(lens.directions(200, 200), FULL, sun=NIGHT, angle=8)
    rows, columns = np.nonzero(mask)
    assert (columns.mean(), rows.mean()) == pytest.approx(np.stack(lens.pixels(40.0, 120.0)), abs=0.5)
    expected = 2 * np.pi * (1 - np.cos(np.radians(8)))
    assert lens.solid_angles(200, 200)[mask].sum() == pytest.approx(expected, rel=0.02)
    assert not around_moon(lens.directions(200, 200), FULL, sun=NIGHT, angle=0).any()


@pytest.mark.parametrize(
    ('moon', 'sun', 'glares'),
    [
        (FULL, Sun(-6.1, 0.0), True),
        (FULL, Sun(-5.9, 0.0), False),
        (FULL._replace(illumination=0.11), NIGHT, True),
        (FULL._replace(illumination=0.09), NIGHT, False),
        (FULL._replace(elevation=0.5), NIGHT, True),
        (FULL._replace(elevation=-0.5), NIGHT, False),
    ],
)
def test_a_moon_glares_when_it_is_up_and_lit_in_the_dark(moon, sun, glares):
    directions = Lens.from_dome((49.5, 49.5), 49.5).directions(100, 100)
    assert around_moon(directions, moon, sun=sun).any() == glares
