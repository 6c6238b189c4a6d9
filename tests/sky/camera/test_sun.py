"""The sun, against published positions and the definitions."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from hyperbolic_seg.sky.camera.lens import Lens
from hyperbolic_seg.sky.camera.sun import Place, Sun, around_sun, sun_at

GOLDEN = Place(39.742476, -105.1786, 1830.14)


def test_the_position_agrees_with_the_published_example():
    """Reda and Andreas: Solar position algorithm for solar radiation applications, NREL/TP-560-34302, table A5.1."""
    time = datetime(2003, 10, 17, 12, 30, 30, tzinfo=timezone(timedelta(hours=-7)))
    sun = sun_at(time, GOLDEN)
    assert sun.elevation == pytest.approx(90 - 50.11162, abs=2e-3)
    assert sun.azimuth == pytest.approx(194.34024, abs=2e-3)
    assert sun.phase == 'day'


@pytest.mark.parametrize('elevation, phase', [(0, 'day'), (-0.9, 'dusk'), (-11, 'dusk'), (-13, 'night')])
def test_the_phase_follows_the_elevation_of_the_sun(elevation, phase):
    assert Sun(elevation, 0).phase == phase


def test_the_mask_is_a_cap_around_the_sun():
    lens, sun = Lens.from_dome((99.5, 99.5), 99.5, field_of_view=180), Sun(50.0, 120.0)
    mask = around_sun(lens.directions(200, 200), sun, angle=8)
    radius, azimuth = 99.5 * 40 / 90, np.radians(120)
    x, y = 99.5 - radius * np.sin(azimuth), 99.5 - radius * np.cos(azimuth)  # east is left of north
    rows, columns = np.nonzero(mask)
    assert (columns.mean(), rows.mean()) == pytest.approx((x, y), abs=0.5)
    expected = 2 * np.pi * (1 - np.cos(np.radians(8)))
    assert lens.solid_angles(200, 200)[mask].sum() == pytest.approx(expected, rel=0.02)
    assert not around_sun(lens.directions(200, 200), Sun(-5.0, 120.0)).any()


def test_times_without_a_zone_and_impossible_places_are_refused():
    with pytest.raises(ValueError, match='has no time zone'):
        sun_at(datetime(2024, 1, 1), GOLDEN)
    with pytest.raises(ValueError, match='latitude of -90 to 90'):
        sun_at(datetime(2024, 1, 1, tzinfo=timezone.utc), Place(139.7, 39.0))
