"""Sun and moon, against an eclipse and another library."""

import socket
import warnings
from datetime import datetime, timedelta, timezone

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, get_body
from astropy.time import Time
from astropy.utils import iers

from hyperbolic_seg.sky.camera import Place, moon_at, sun_at
from hyperbolic_seg.sky.camera.calibration import moon_directions, sun_directions
from hyperbolic_seg.sky.camera.sun import suns_at

DALLAS = Place(32.7767, -96.797, 130.0)
TOTALITY = datetime(2024, 4, 8, 18, 42, 40, tzinfo=timezone.utc)


def test_in_the_middle_of_a_total_eclipse_the_moon_hides_the_sun():
    """Dallas, 8 April 2024, 13:42:40 local time (NASA/TP-2017-219796)."""
    sun, (moon, lit) = sun_directions([TOTALITY], DALLAS), moon_directions([TOTALITY], DALLAS)
    assert np.degrees(np.arccos(np.clip((sun.vectors() * moon.vectors()).sum(), -1, 1))) < 0.05
    assert lit[0] < 0.001


def test_two_weeks_later_the_moon_is_full():
    """Full moon of 23 April 2024, 23:49 UTC."""
    full = datetime(2024, 4, 23, 23, 49, tzinfo=timezone.utc)
    assert moon_directions([full], DALLAS)[1][0] > 0.995


def test_directions_of_the_sun_agree_with_astropy():
    times = [TOTALITY + timedelta(hours=5 * step) for step in range(20)]
    here = EarthLocation.from_geodetic(DALLAS.longitude * u.deg, DALLAS.latitude * u.deg, DALLAS.altitude * u.m)
    when = Time(times)
    other = get_body('sun', when, here).transform_to(AltAz(obstime=when, location=here))
    own = sun_directions(times, DALLAS)
    high = own.elevation > 15  # below, refraction is not that of a vacuum
    assert high.sum() > 5
    assert own.elevation[high] == pytest.approx(other.alt.deg[high], abs=0.08)
    assert own.azimuth[high] == pytest.approx(other.az.deg[high], abs=0.02)
    assert [sun_at(time, DALLAS) for time in times] == [
        pytest.approx(one) for one in zip(own.elevation, own.azimuth, strict=True)
    ]


@pytest.mark.parametrize('year', [2026, 2035])
def test_directions_of_the_moon_agree_with_astropy(year):
    """In a vacuum, above 30 degrees, where refraction is small; at dates beyond the tables of astropy too."""
    times = [datetime(year, 11, 1, tzinfo=timezone.utc) + timedelta(hours=7 * step) for step in range(120)]
    own, lit = moon_directions(times, DALLAS)
    here = EarthLocation.from_geodetic(DALLAS.longitude * u.deg, DALLAS.latitude * u.deg, DALLAS.altitude * u.m)
    table = iers.conf.set_temp('auto_download', False), iers.conf.set_temp('auto_max_age', None)
    with warnings.catch_warnings(), table[0], table[1], iers.conf.set_temp('iers_degraded_accuracy', 'ignore'):
        warnings.simplefilter('ignore')
        when = Time(times)
        moon, sun = (get_body(name, when, here) for name in ('moon', 'sun'))
        other = moon.transform_to(AltAz(obstime=when, location=here))
        shares = (1 - np.cos(moon.separation(sun, origin_mismatch='ignore').rad)) / 2
    high = own.elevation > 30
    assert high.sum() > 10
    assert own.elevation[high] == pytest.approx(other.alt.deg[high], abs=0.05)
    assert own.azimuth[high] == pytest.approx(other.az.deg[high], abs=0.02)
    assert lit == pytest.approx(shares, abs=0.005)
    assert moon_at(times[0], DALLAS) == pytest.approx((own.elevation[0], own.azimuth[0], lit[0]))


def test_times_may_have_several_zones():
    zones = [timezone(timedelta(hours=hours)) for hours in (0, 2, -5)]
    for directions in (sun_directions, lambda *of: moon_directions(*of)[0]):
        found = directions([TOTALITY.astimezone(zone) for zone in zones], DALLAS)
        assert np.ptp(found.elevation) == np.ptp(found.azimuth) == 0
    assert len(set(suns_at([TOTALITY.astimezone(zone) for zone in zones], DALLAS))) == 1


@pytest.mark.parametrize('year', [2026, 2027, 2035])
def test_no_network_is_used_and_nothing_is_warned_of(year, monkeypatch):
    def refuse(*_):
        raise AssertionError('a connection was opened')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        moon, _ = moon_directions([datetime(year, 12, 1, 3, tzinfo=timezone.utc)], DALLAS)
    assert np.isfinite(moon.elevation).all()
