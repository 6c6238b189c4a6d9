"""Sun and moon, against an eclipse and another library."""

import socket
from datetime import datetime, timedelta, timezone

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, get_body
from astropy.time import Time

from hyperbolic_seg.sky.camera import Place, sun_at
from hyperbolic_seg.sky.camera.calibration import moon_directions, sun_directions

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


def test_no_network_is_used(monkeypatch):
    def refuse(*_):
        raise AssertionError('a connection was opened')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    moon, _ = moon_directions([datetime(2026, 11, 1, 3, tzinfo=timezone.utc)], DALLAS)
    assert np.isfinite(moon.elevation).all()
