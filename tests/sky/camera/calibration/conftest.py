"""A rendered camera that stays in its place, and sightings of the sun that a lens would have."""

from datetime import datetime, timedelta, timezone

import cv2
import numpy as np
import pytest

from hyperbolic_seg.sky.camera import Place
from hyperbolic_seg.sky.camera.calibration import Sightings, sun_directions
from hyperbolic_seg.sky.renderer import FOREGROUND, Camera, Ground, SkyLabel, Station, render_station

MUNICH = Place(48.1, 11.6, 520.0)
SIZE = 240


@pytest.fixture(scope='session')
def station():
    camera = Camera(
        'fisheye',
        90.0,
        0.0,
        178.0,
        roll=-30.0,
        dome_radius=0.95,
        projection='equisolid',
        tilt=3.0,
        tilt_azimuth=100.0,
        east_left=True,
        center=(0.02, -0.03),
    )
    return Station(camera, Ground('trees', 12, 2), MUNICH, 7, '%Y-%m-%d %H:%M', (0.3, 0.25))


@pytest.fixture(scope='session')
def series(station, tmp_path_factory):
    """Pictures of a day and a half, with the time in their names, and what hides the sky, (H, W)."""
    folder = tmp_path_factory.mktemp('series')
    start = datetime(2024, 6, 20, 4, tzinfo=timezone.utc)
    for number in range(30):
        time = start + timedelta(minutes=67 * number)
        if not 4 <= time.hour < 20:
            continue
        rendered = render_station(station, time, SIZE, clouds=number if number % 3 == 0 else None)
        cv2.imwrite(str(folder / f'{time:%Y%m%d_%H%M%S}.png'), rendered.image)
    return folder, np.isin(rendered.labels, (*FOREGROUND, SkyLabel.OUTSIDE_THE_LENS, SkyLabel.OVERLAY))


@pytest.fixture
def sightings_of():
    """Makes what a lens sees of the sun at times: sightings with errors, and others of something else."""

    def make(lens, times, place, *, error=0.5, false=1, seed=0):
        random = np.random.default_rng(seed)
        sun = sun_directions(times, place)
        seen = np.stack(lens.pixels(90 - sun.elevation, sun.azimuth), 1)
        up = (sun.elevation > 1) & np.isfinite(seen).all(1)
        owners = np.flatnonzero(up)
        points = seen[up] + random.normal(0, error, (len(owners), 2))
        others = np.repeat(owners, false)
        at = random.uniform(0, 2 * np.array(lens.center), (len(others), 2))
        pictures = np.concatenate([owners, others])
        order = np.argsort(pictures, kind='stable')
        return Sightings(np.concatenate([points, at])[order], pictures[order])

    return make
