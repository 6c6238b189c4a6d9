"""Series of one camera: what stays stays, and sun and moon are where they should be."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import cv2
import numpy as np
import pytest

from hyperbolic_seg.sky.camera import Place, sun_at
from hyperbolic_seg.sky.camera.calibration import moon_directions
from hyperbolic_seg.sky.renderer import FOREGROUND, PROJECTIONS, Camera, Ground, SkyLabel, Station, render_station

NOON = datetime(2024, 6, 21, 11, tzinfo=timezone.utc)
CAMERA = Camera('fisheye', 90.0, 0.0, 170.0, roll=40.0, dome_radius=0.9, tilt=7.0, tilt_azimuth=250.0)
STATION = Station(CAMERA, Ground('none', 0, 0), Place(48.0, 11.0))


def place_of(station, elevation, azimuth, size=200):
    return tuple(float(found) for found in station.lens(size).pixels(np.array(90 - elevation), np.array(azimuth)))


def middle_of(rendered, label):
    rows, columns = np.nonzero(rendered.labels == label)
    return columns.mean(), rows.mean()


@pytest.mark.parametrize('projection', PROJECTIONS)
@pytest.mark.parametrize('east_left', [False, True])
def test_the_sun_is_where_the_lens_of_a_camera_puts_it(projection, east_left):
    camera = replace(CAMERA, projection=projection, east_left=east_left, center=(0.05, -0.04))
    station = replace(STATION, camera=camera)
    for hours in (-3, 4):
        time = NOON + timedelta(hours=hours)
        rendered = render_station(station, time, 200)
        assert middle_of(rendered, SkyLabel.SUN) == pytest.approx(
            place_of(station, *sun_at(time, station.place)), abs=0.7
        )


def test_by_night_there_is_the_moon():
    time = datetime(2024, 1, 25, 23, tzinfo=timezone.utc)
    (elevation, azimuth), lit = moon_directions([time], STATION.place)
    assert lit[0] > 0.9
    rendered = render_station(STATION, time, 200)
    assert middle_of(rendered, SkyLabel.MOON) == pytest.approx(place_of(STATION, elevation[0], azimuth[0]), abs=0.7)


def test_the_ground_stays_and_the_clouds_move():
    station = replace(STATION, ground=Ground('buildings', 12, 2), seed=3)
    one, other = (render_station(station, NOON + timedelta(hours=hours), 200, clouds=hours) for hours in (1, 4))
    hidden = [np.isin(rendered.labels, FOREGROUND) for rendered in (one, other)]
    assert hidden[0].any() and (hidden[0] == hidden[1]).all()
    assert (one.image != other.image).mean() > 0.5


def test_a_text_is_written_and_labeled():
    station = replace(STATION, text='%H:%M', text_at=(0.4, 0.5))
    plain, written = render_station(STATION, NOON, 200), render_station(station, NOON, 200)
    changed = (plain.image != written.image).any(-1)
    assert changed.any() and (written.labels[changed] == SkyLabel.OVERLAY).all()
    assert cv2.boundingRect(changed.astype(np.uint8))[2] < 40
