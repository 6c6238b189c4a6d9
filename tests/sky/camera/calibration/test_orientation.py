"""Lenses from the suns that they would see, with errors and with other bright things."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from hyperbolic_seg.sky.camera import PROJECTIONS, Lens, Place
from hyperbolic_seg.sky.camera.calibration import Center, better_readings, bodies_at, leeway_of, orient, search
from hyperbolic_seg.sky.camera.calibration.clock import LEANS

OSLO, SYDNEY = Place(59.94, 10.72), Place(-33.87, 151.21)
JUNE = datetime(2024, 6, 20, 2, tzinfo=timezone.utc)
CENTER = Center((500.0, 490.0), 1.5, 480.0)
FOCALS = 480 / np.radians(np.linspace(60, 110, 11))


def lens_of(projection='equidistant', *, east_left=True, north=12.0, tilt=0.0, toward=0.0, field=178.0):
    options = dict(north=north, east_left=east_left, tilt=tilt, tilt_azimuth=toward)
    return Lens.from_dome((500.6, 490.7), 480, projection=projection, field_of_view=field, **options)


def oriented(sightings, times, place):
    bodies = bodies_at(times, place)
    found = search(sightings, bodies.vectors, CENTER.pixel, focals=FOCALS)
    return orient(sightings, bodies.directions, found, CENTER)


def day(count=36, minutes=34, start=JUNE):
    return [start + timedelta(minutes=minutes * step) for step in range(count)]


@pytest.mark.parametrize('projection', PROJECTIONS)
@pytest.mark.parametrize('place, east_left, north, tilt', [(OSLO, True, 12, 0), (SYDNEY, False, 215, 4.0)])
def test_every_lens_is_found_within_its_uncertainty(sightings_of, projection, place, east_left, north, tilt):
    start = JUNE if place == OSLO else datetime(2024, 1, 5, 18, tzinfo=timezone.utc)
    lens, times = lens_of(projection, east_left=east_left, north=north, tilt=tilt, toward=230), day(start=start)
    found = oriented(sightings_of(lens, times, place, false=2), times, place)
    fit, known = found.fit, found.uncertainty
    assert (fit.projection, fit.east_left, found.mirrored) == (projection, east_left, None)
    assert len(fit.chosen) > 18 and found.arc > 90
    assert known.north < 0.3 and known.tilt < 0.5
    assert fit.values[3] % 360 == pytest.approx(north, abs=max(3 * known.north, 0.1))
    lean = np.radians(fit.tilt[1])
    off = fit.tilt[0] * np.array([np.cos(lean), np.sin(lean)]) - tilt * np.array(
        [np.cos(np.radians(230)), np.sin(np.radians(230))]
    )
    assert np.hypot(*off) < 3 * known.tilt
    zenith, azimuth = (array[::20, ::20] for array in lens.directions(980, 1000))
    x, y = fit.lens.pixels(zenith, azimuth)
    true_x, true_y = np.meshgrid(np.arange(0, 1000, 20), np.arange(0, 980, 20))
    near = zenith < 60
    assert np.nanmax(np.hypot(x - true_x, y - true_y)[near]) < 0.5 * lens.focal[0] * np.pi / 180


def test_a_short_arc_leaves_out_what_it_cannot_tell(sightings_of):
    times = day(12, 5, JUNE + timedelta(hours=8))
    found = oriented(sightings_of(lens_of(), times, OSLO, false=0), times, OSLO)
    assert found is None or found.mirrored is not None or found.uncertainty.tilt > 1 or found.uncertainty.lens > 1


def test_pictures_without_the_sun_give_nothing(sightings_of):
    times = day()
    lens = lens_of()
    false = sightings_of(lens, times, OSLO, error=300.0, false=2)
    assert oriented(false, times, OSLO) is None


def better(sightings, times, place):
    found = oriented(sightings, times, place)
    return better_readings(
        sightings, times, place, None if found is None else found.fit, focals=FOCALS, center=CENTER.pixel
    )


@pytest.mark.parametrize('latitude', [59.94, -20.0])
@pytest.mark.parametrize('edge', ['behind', 'ahead'])
def test_clocks_that_fit_as_well_are_told(sightings_of, latitude, edge):
    """If the clock is wrong by all of the leeway, the camera leans by as much as one may, and all suns still fit."""
    place = OSLO._replace(latitude=latitude)
    sightings = sightings_of(lens_of(tilt=3, toward=45), day(), place)
    right = oriented(sightings, day(), place).fit
    leeway = leeway_of(*right.tilt, place)
    minutes = leeway.behind if edge == 'behind' else -leeway.ahead
    other = oriented(sightings, [time + timedelta(minutes=minutes) for time in day()], place).fit
    assert other.tilt[0] == pytest.approx(LEANS, abs=0.15)
    assert other.rms < 0.2
    turned = abs((other.values[3] - right.values[3] + 180) % 360 - 180)
    assert turned < leeway.north + 0.5
    assert leeway_of(LEANS + 0.1, 45, place) is None


@pytest.mark.parametrize('hours', [-7, 0.5])
def test_a_clock_in_another_time_zone_is_named(sightings_of, hours):
    place = Place(40.0, 10.72)
    sightings = sightings_of(lens_of(), day(), place)
    said = [time + timedelta(hours=hours) for time in day()]
    (reading, found), *_ = better(sightings, said, place)
    assert reading.hours == -hours and found.east_left and found.tilt < 2
    side = 'ahead of' if hours > 0 else 'behind'
    assert f'{abs(hours):g} hour{"" if abs(hours) == 1 else "s"} {side}' in reading.words


def test_a_wrong_hemisphere_is_named(sightings_of):
    sightings = sightings_of(lens_of(), day(), OSLO)
    found = better(sightings, day(), OSLO._replace(latitude=-OSLO.latitude))
    assert 'the sign of the latitude is wrong' in [reading.words for reading, one in found if one.east_left]


def test_a_wrong_sign_of_the_longitude_is_named(sightings_of):
    place = SYDNEY
    times = day(start=JUNE + timedelta(hours=18))
    sightings = sightings_of(lens_of(), times, place)
    found = better(sightings, times, place._replace(longitude=-place.longitude))
    assert 'the sign of the longitude is wrong' in [reading.words for reading, _ in found]


@pytest.mark.parametrize('east_left', [True, False])
def test_right_times_of_a_camera_that_leans_a_little_are_not_doubted(sightings_of, east_left):
    sightings = sightings_of(lens_of(east_left=east_left, tilt=3, toward=45), day(), OSLO)
    assert better(sightings, day(), OSLO) == []
