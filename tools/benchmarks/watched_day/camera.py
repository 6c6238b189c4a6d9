"""The pictures of a fisheye camera over a day, and as it takes them now."""

import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cv2
import numpy as np

from hyperbolic_seg.sky.camera import Place
from hyperbolic_seg.sky.renderer import Camera, Ground, Station, render_station

START = datetime(2024, 6, 21, tzinfo=timezone.utc)
FORMAT = '%Y%m%d_%H%M%S_%f'
PLACE = Place(48.1, 11.6, 520.0)
DOME = 0.95
STATION = Station(Camera('fisheye', 90.0, 0.0, 180.0, dome_radius=DOME), Ground('hills', 8, 2), PLACE, 7)
CAMERA = """station: Benchmark
north: {north}
east: {east}
center: [{middle}, {middle}]
radius: {radius}
image_size: [{size}, {size}]
latitude: {place.latitude}
longitude: {place.longitude}
altitude: {place.altitude}
time_format: "{format}"
timezone: UTC
unsafe: {{cloud_above: 7.9, safe_after_minutes: 0.05, quality: [refused], by: fraction}}
"""
BLACK_EVERY = 100
"""One picture in as many is black."""


def render_day(folder: Path, count: int, size: int) -> list[str]:
    """Write the pictures of a day; return their names in order."""
    folder.mkdir()
    names = []
    for number in range(count):
        moment = START + timedelta(days=1) * number / count
        image = render_station(STATION, moment, size, clouds=number).image[:, :, ::-1]
        names.append(f'{moment:{FORMAT}}.jpg')
        black = number % BLACK_EVERY == BLACK_EVERY // 2
        cv2.imwrite(str(folder / names[-1]), np.zeros_like(image) if black else image)
    return names


def write_camera(folder: Path, size: int) -> None:
    """Write the camera file of the pictures."""
    camera = STATION.camera
    east, middle = 'left' if camera.east_left else 'right', size / 2 - 0.5
    lens = dict(north=camera.roll, east=east, middle=middle, radius=size / 2 * DOME)
    (folder / 'camera.yaml').write_text(CAMERA.format(**lens, size=size, place=PLACE, format=FORMAT))


def feed(source: Path, watched: Path, names: Sequence[str], rate: float) -> None:
    """Move pictures into the watched folder, one after the other."""
    for name in names:
        (source / name).replace(watched / name)
        time.sleep(1 / rate)


def photograph(folder: Path, size: int, stop: threading.Event) -> None:
    """Write a picture of the present into a folder every other second, until an event is set."""
    number = 0
    while not stop.wait(2):
        name, number = f'{datetime.now(timezone.utc):{FORMAT}}.jpg', number + 1
        image = render_station(STATION, START + timedelta(hours=11), size, clouds=number).image[:, :, ::-1]
        cv2.imwrite(str(folder / f'.{name}'), image)
        (folder / f'.{name}').replace(folder / name)
