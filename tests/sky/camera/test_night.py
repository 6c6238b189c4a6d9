"""Planets and stars, against the full transformation of astropy and published events."""

import socket
import warnings
from datetime import datetime, timedelta, timezone

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body
from astropy.time import Time
from astropy.utils import iers

from hyperbolic_seg.sky.camera import Place, night_sky
from hyperbolic_seg.sky.camera.bright_stars import bright_stars
from hyperbolic_seg.sky.camera.night import PLANETS

MUNICH, SYDNEY = Place(48.1, 11.6, 520.0), Place(-33.9, 151.2, 30.0)
START = datetime(2024, 1, 3, 17, tzinfo=timezone.utc)

# Right ascension and declination (J2000) and visual magnitude, as the SIMBAD database prints them.
PUBLISHED = {
    'Sirius': ('06 45 08.917', '-16 42 58.02', -1.46),
    'Canopus': ('06 23 57.110', '-52 41 44.38', -0.74),
    'Arcturus': ('14 15 39.672', '+19 10 56.67', -0.05),
    'Vega': ('18 36 56.336', '+38 47 01.28', 0.03),
    'Betelgeuse': ('05 55 10.305', '+07 24 25.43', 0.42),
    'Fomalhaut': ('22 57 39.046', '-29 37 20.05', 1.16),
    'Polaris': ('02 31 49.095', '+89 15 50.79', 2.02),
}


def apart(one, other):
    """Angles between directions (elevations, azimuths), degrees."""
    (h, a), (k, b) = np.radians(one), np.radians(other)
    return np.degrees(np.arccos(np.clip(np.sin(h) * np.sin(k) + np.cos(h) * np.cos(k) * np.cos(a - b), -1, 1)))


@pytest.fixture
def tables():
    """Astropy with the tables that it brings along, and without a word about dates beyond them."""
    off = iers.conf.set_temp('auto_download', False), iers.conf.set_temp('auto_max_age', None)
    with warnings.catch_warnings(), off[0], off[1], iers.conf.set_temp('iers_degraded_accuracy', 'ignore'):
        warnings.simplefilter('ignore')
        yield


@pytest.mark.parametrize('place', [MUNICH, SYDNEY])
@pytest.mark.parametrize('year', [2024, 2031])
def test_directions_are_those_of_astropy(place, year, tables):
    times = [datetime(year, 1, 3, 17, tzinfo=timezone.utc) + timedelta(days=11, hours=5) * step for step in range(8)]
    own = night_sky(times, place)
    here = EarthLocation.from_geodetic(place.longitude * u.deg, place.latitude * u.deg, place.altitude * u.m)
    pressure = 1013.25 * np.exp(-place.altitude / 8400) * u.hPa
    for number, time in enumerate(times):
        when = Time(time)
        frame = AltAz(obstime=when, location=here, pressure=pressure, temperature=12 * u.deg_C, obswl=0.55 * u.um)
        stars = SkyCoord(
            ra=[star.right_ascension for star in bright_stars()] * u.deg,
            dec=[star.declination for star in bright_stars()] * u.deg,
            distance=np.full(len(bright_stars()), 1000) * u.pc,  # no parallax, which is 0.0002 degrees at most
            pm_ra_cosdec=[star.motion_east for star in bright_stars()] * u.mas / u.yr,
            pm_dec=[star.motion_north for star in bright_stars()] * u.mas / u.yr,
            obstime=Time('J1991.25'),
        ).apply_space_motion(new_obstime=when)
        others = [stars.transform_to(frame)]
        others += [get_body(name, when, here, ephemeris='builtin').transform_to(frame) for name in PLANETS]
        elevations = np.concatenate([others[0].alt.deg, [one.alt.deg for one in others[1:]]])
        azimuths = np.concatenate([others[0].az.deg, [one.az.deg for one in others[1:]]])
        order = [*range(len(PLANETS), len(own.names)), *range(len(PLANETS))]
        high = elevations > 10
        off = apart((own.elevations[number][order], own.azimuths[number][order]), (elevations, azimuths))
        assert high.sum() > 30
        assert off[high].max() < 0.01
        # Lower down the refraction of ERFA, a series in the tangent of the zenith angle, does not hold.
        assert off[elevations > 5].max() < 0.02


def test_stars_are_where_simbad_has_them():
    stars = {star.name: star for star in bright_stars()}
    for name, (ascension, declination, magnitude) in PUBLISHED.items():
        star, there = stars[name], SkyCoord(ascension, declination, unit=('hourangle', 'deg'))
        own = SkyCoord(star.right_ascension * u.deg, star.declination * u.deg)
        years = 8.75
        east, north = own.spherical_offsets_to(there)
        assert east.to_value('mas') == pytest.approx(star.motion_east * years, abs=100)
        assert north.to_value('mas') == pytest.approx(star.motion_north * years, abs=100)
        assert star.magnitude == pytest.approx(magnitude, abs=0.4)
    magnitudes = [star.magnitude for star in bright_stars()]
    assert magnitudes == sorted(magnitudes) and len({star.hip for star in bright_stars()}) == len(magnitudes) > 100


def test_jupiter_and_saturn_met_in_2020():
    """Great conjunction of December 21, 2020, 18:20 UTC: 6.1 arcminutes apart (NASA)."""
    own = night_sky([datetime(2020, 12, 21, 18, 20, tzinfo=timezone.utc)], Place(0.0, -90.0))
    jupiter, saturn = (own.names.index(name) for name in ('Jupiter', 'Saturn'))
    both = [(own.elevations[0, one], own.azimuths[0, one]) for one in (jupiter, saturn)]
    assert apart(*both) * 60 == pytest.approx(6.1, abs=1.5)  # mean elements: up to 0.02 degrees each


@pytest.mark.parametrize(
    ('time', 'name', 'magnitude'),
    [
        ('2022-12-08', 'Mars', -1.9),  # opposition
        ('2023-11-03', 'Jupiter', -2.9),  # opposition
        ('2023-08-27', 'Saturn', 0.4),  # opposition
        ('2023-07-07', 'Venus', -4.7),  # greatest brilliancy
    ],
)
def test_planets_are_as_bright_as_published(time, name, magnitude):
    own = night_sky([datetime.fromisoformat(time).replace(tzinfo=timezone.utc)], MUNICH)
    assert own.magnitudes[0, own.names.index(name)] == pytest.approx(magnitude, abs=0.3)


@pytest.mark.parametrize('year', [1900, 2035, 2099])
def test_no_year_needs_a_table_or_warns(year, monkeypatch):
    def refuse(*args):
        raise AssertionError('a connection was opened')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        own = night_sky([datetime(year, 7, 1, tzinfo=timezone.utc)], MUNICH)
    assert np.isfinite(own.elevations).all() and np.isfinite(own.magnitudes).all()


def test_unknown_moments_are_refused():
    with pytest.raises(ValueError, match='has no time zone'):
        night_sky([datetime(2024, 1, 1)], MUNICH)
    with pytest.raises(ValueError, match='expected a year from 1900 to 2099'):
        night_sky([datetime(2100, 6, 1, tzinfo=timezone.utc)], MUNICH)
