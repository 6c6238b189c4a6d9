"""Accuracy of ``hyperbolic-seg camera`` on rendered series, whose lens, direction and mask are known.

    python tools/benchmarks/camera_calibration.py

The first table has a row for each camera: errors of north, of the direction of the axis and of the directions of
pixels, in degrees, and intersection over union of the mask, of the sky and of what hides it. The second table says what
is found if times or place are wrong.
"""

import argparse
import time as clock
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from hyperbolic_seg.sky.camera import PROJECTIONS, Lens, Place, SkyCamera
from hyperbolic_seg.sky.camera.calibration import Calibration, calibrate
from hyperbolic_seg.sky.renderer import FOREGROUND, Camera, Ground, SkyLabel, Station, render_station

FORMAT = '%Y%m%d_%H%M%S'
MUNICH, SYDNEY, QUITO = Place(48.1, 11.6, 520.0), Place(-33.9, 151.2, 30.0), Place(-0.2, -78.5, 2850.0)
FISHEYE = Camera('fisheye', 90.0, 0.0, 185.0, roll=-30.0, dome_radius=0.95, east_left=True, center=(0.02, -0.03))


@dataclass(frozen=True)
class Case:
    """A camera and when it took its pictures.

    Attributes:
        name: What is special about it.
        station: The camera and its place.
        start: Time of the first picture.
        minutes: Minutes between two.
        count: Number of pictures.
        hours: Hours by which the times in the names are wrong.
        said: Place that is given; by default the right one.
    """

    name: str
    station: Station
    start: datetime
    minutes: float = 52.0
    count: int = 36
    hours: float = 0.0
    said: Place | None = None


def cases() -> Iterator[Case]:
    """Yield cameras whose times and place are right."""
    june, december = datetime(2024, 6, 20, 3, 30, tzinfo=timezone.utc), datetime(2023, 12, 26, 18, tzinfo=timezone.utc)
    grounds = [Ground('buildings', 14, 3), Ground('trees', 12, 0), Ground('hills', 8, 2), Ground('trees', 20, 4)]
    for number, (name, ground) in enumerate(zip(PROJECTIONS, grounds, strict=True)):
        camera = replace(FISHEYE, projection=name, roll=40.0 * number - 70, field_of_view=178, tilt=1.0 + number)
        camera = replace(camera, tilt_azimuth=100.0 * number)
        station = Station(camera, ground, MUNICH, number, '%Y-%m-%d %H:%M', (0.3, 0.25))
        yield Case(name, station, june)
        if name == 'orthographic':
            yield Case('orthographic, 4 days', station, june, count=110)
    level = Station(FISHEYE, grounds[0], MUNICH, 7)
    yield Case('mirrored', replace(level, camera=replace(FISHEYE, east_left=False)), june)
    yield Case('Sydney', replace(level, place=SYDNEY), december)
    yield Case('Quito', replace(level, place=QUITO), june + timedelta(hours=5))
    yield Case('dome cut off', replace(level, camera=replace(FISHEYE, dome_radius=1.25)), june)
    yield Case('no dome', replace(level, camera=replace(FISHEYE, dome_radius=1.6)), june)
    yield Case('moon', level, datetime(2023, 12, 26, 16, tzinfo=timezone.utc), minutes=25.0)
    yield from _nights(level)


def _nights(level: Station) -> Iterator[Case]:
    """Yield cameras that took pictures by night alone, without a moon."""
    evening, count = datetime(2024, 1, 9, 18, tzinfo=timezone.utc), 24
    for number, name in enumerate(PROJECTIONS):
        camera = replace(FISHEYE, projection=name, roll=40.0 * number - 70, field_of_view=178, tilt=1.0 + number)
        station = replace(level, camera=replace(camera, tilt_azimuth=100.0 * number, east_left=number % 2 == 0))
        yield Case(f'stars, {name}', station, evening, minutes=30.0, count=count)
    sydney = replace(level, place=SYDNEY, camera=replace(FISHEYE, dome_radius=1.6))
    yield Case('stars, Sydney, no dome', sydney, evening - timedelta(hours=8), minutes=22.0, count=count)
    yield Case('stars, Quito', replace(level, place=QUITO), evening + timedelta(hours=6), minutes=30.0, count=count)


def wrong_cases() -> Iterator[Case]:
    """Yield cameras whose times or place are wrong."""
    june = datetime(2024, 6, 20, 3, 30, tzinfo=timezone.utc)
    right = Case('', Station(FISHEYE, Ground('hills', 8, 0), MUNICH, 7), june)
    for hours in (2.0, -1.0, 0.5, 5.5, -8.0):
        yield replace(right, name=f'clock {hours:+g} h', hours=hours)
    yield replace(right, name='latitude -48.1', said=MUNICH._replace(latitude=-MUNICH.latitude))
    sydney = replace(right, station=replace(right.station, place=SYDNEY))
    yield replace(sydney, name='longitude -151.2', said=SYDNEY._replace(longitude=-SYDNEY.longitude))
    night = replace(right, start=datetime(2024, 1, 9, 18, tzinfo=timezone.utc), minutes=30.0, count=24)
    for hours in (-3.0, 9.0):
        yield replace(night, name=f'stars, clock {hours:+g} h', hours=hours)
    yield replace(night, name='stars, latitude -48.1', said=MUNICH._replace(latitude=-MUNICH.latitude))


def render(case: Case, folder: Path, size: int) -> np.ndarray:
    """Write the pictures of a case, and return what hides the sky, (H, W)."""
    for number in range(case.count):
        time = case.start + timedelta(minutes=case.minutes * number)
        rendered = render_station(case.station, time, size, clouds=None if number % 3 == 0 else number)
        said = time + timedelta(hours=case.hours)
        cv2.imwrite(str(folder / f'{said:{FORMAT}}.png'), rendered.image)
    return np.isin(rendered.labels, (*FOREGROUND, SkyLabel.OUTSIDE_THE_LENS, SkyLabel.OVERLAY))


def vectors(zenith: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Return unit vectors (..., 3) of directions in degrees."""
    z, a = np.radians(zenith), np.radians(azimuth)
    return np.stack([np.sin(z) * np.sin(a), np.sin(z) * np.cos(a), np.cos(z)], -1)


def errors_of(found: Calibration, truth: Lens, size: int) -> tuple[float, float, float]:
    """Return errors of north, of the axis, and the largest of a pixel up to 80 degrees from zenith and axis."""
    fit = found.orientation.fit
    north = abs((fit.values[3] - truth.north + 180) % 360 - 180)
    axes = vectors(np.array([fit.tilt[0], truth.tilt]), np.array([fit.tilt[1], truth.tilt_azimuth]))
    here, there = fit.lens.directions(size, size), truth.directions(size, size)
    cosines = (vectors(*here) * vectors(*there)).sum(-1)
    from_axis = np.degrees(np.arccos(np.clip((vectors(*there) * axes[1]).sum(-1), -1, 1)))
    off = np.degrees(np.arccos(np.clip(cosines, -1, 1)))[(there[0] < 80) & (from_axis < 80)]
    return north, np.degrees(np.arccos(np.clip(axes[0] @ axes[1], -1, 1))), float(np.nanmax(off))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return intersection over union."""
    return float((one & other).sum() / (one | other).sum())


def run(case: Case, size: int) -> tuple[Calibration, np.ndarray, float]:
    """Render and calibrate; return the calibration, what hides the sky, and seconds for the calibration."""
    place = case.said or case.station.place
    known = SkyCamera(**place._asdict(), time_format=FORMAT, timezone='UTC')
    with TemporaryDirectory() as folder:
        hidden = render(case, Path(folder), size)
        start = clock.perf_counter()
        found = calibrate(sorted(map(str, Path(folder).iterdir())), known)
        return found, hidden, clock.perf_counter() - start


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, default=240, help='side of the pictures in pixels')
    parser.add_argument('--seed', type=int, default=0, help='added to the seeds of what stands around the cameras')
    given = parser.parse_args()
    size = given.size
    print('| camera | projection | left out | uncertain | north | axis | directions | sky | hidden | seconds |')
    print('|---' * 10 + '|')
    for case in cases():
        case = replace(case, station=replace(case.station, seed=case.station.seed + given.seed))
        found, hidden, seconds = run(case, size)
        left_out = ', '.join(part.name for part in found.parts if not part.settings) or 'nothing'
        uncertain = ', '.join(part.name for part in found.parts if not part.certain) or 'nothing'
        cells = [case.name, str(found.settings.get('projection')), left_out, uncertain]
        angles = errors_of(found, case.station.lens(size), size) if found.orientation else [np.nan] * 3
        cells += [f'{angle:.2f}' for angle in angles]
        masks = [np.nan] * 2 if found.mask is None else [overlap(found.mask, ~hidden), overlap(~found.mask, hidden)]
        print('| ' + ' | '.join([*cells, *(f'{one:.3f}' for one in masks), f'{seconds:.1f}']) + ' |', flush=True)
    print('\n| wrong | left out | said |\n|---|---|---|')
    for case in wrong_cases():
        found, _, _ = run(case, size)
        left_out = ', '.join(part.name for part in found.parts if not part.settings) or 'nothing'
        print(f'| {case.name} | {left_out} | {"; ".join(found.warnings)} |', flush=True)


if __name__ == '__main__':
    main()
