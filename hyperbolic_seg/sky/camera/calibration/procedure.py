"""Calibration of a sky camera from its pictures: each part has a figure of merit, or is left out by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.calibration.clock import (
    LEANS,
    Bodies,
    Leeway,
    Reading,
    better_readings,
    bodies_at,
    leeway_of,
    readings_of_axis,
)
from hyperbolic_seg.sky.camera.calibration.consensus import Found, search
from hyperbolic_seg.sky.camera.calibration.fit import Center
from hyperbolic_seg.sky.camera.calibration.mask import find_mask
from hyperbolic_seg.sky.camera.calibration.night import Night, orient_by_stars
from hyperbolic_seg.sky.camera.calibration.orientation import CERTAIN, LEAST, LIMIT, Orientation, orient
from hyperbolic_seg.sky.camera.calibration.pictures import Pictures, dome_of, read_pictures
from hyperbolic_seg.sky.camera.calibration.sightings import Sightings
from hyperbolic_seg.sky.camera.calibration.stars import FEWEST, LOWEST, star_field
from hyperbolic_seg.sky.camera.dome import Dome
from hyperbolic_seg.sky.camera.lens import PROJECTIONS
from hyperbolic_seg.sky.camera.sky_camera import SkyCamera
from hyperbolic_seg.sky.camera.sun import Place

Array = NDArray[np.float64]

AGREEMENT = 0.8
"""Least agreement of the masks of two halves of the pictures."""

_DOMES, _VAGUE = 3, 0.05  # single pictures with a dome, and share of its radius that they differ by at most
_MORE = 'take more hours of sun, clear nights, or another season'
_LEVEL = 1.5  # degrees that a camera leans by without a word
_MANY = 0.4  # share of the pictures with a body up and something bright: the other suns are behind clouds
_RIM = np.radians(np.linspace(60, 110, 11))  # angles of the rim of a dome to try
_WIDE = np.geomspace(0.25, 1.3, 14)  # focal lengths to try without a dome, of half the longer side
_DOME_ERROR = 0.1, 0.002  # error of the center of a dome: pixels, and share of the radius
_OFF_AXIS = 5.0  # standard deviations by which the center of a dome is off the axis at most
_NO_DOME_ERROR = 0.05  # the same of the middle of an image, of its shorter side


class Part(NamedTuple):
    """A part of a calibration."""

    name: str
    """Its name."""
    settings: dict[str, Any]
    """Settings for the camera file; empty if it could not be determined."""
    merit: str
    """Figure of merit, or why the part is left out."""
    certain: bool = True
    """False if the part is written, but not known to half a degree."""


class Agreement(NamedTuple):
    """What agrees with a fit."""

    pictures: int
    """Pictures in which the sun or the moon is where it should be."""
    of: int
    """Pictures with the sun or the moon up and something bright."""
    stars: int
    """Sightings of stars and planets."""


class Rim(NamedTuple):
    """The dome, and how far single pictures are from it in pixels."""

    dome: Dome
    spread: float


@dataclass(frozen=True)
class Calibration:
    """What the pictures of a camera tell about it.

    Attributes:
        camera: What was known before.
        pictures: What was read of the pictures.
        parts: Dome, lens, orientation and mask, determined or not.
        warnings: What a person should know, such as a clock that is wrong.
        dome: The dome in pixels of the pictures, ``None`` without one.
        sightings: Bright disks.
        bodies: The sun or moon in every picture; ``None`` without times or a place.
        orientation: The fit; ``None`` if there is none.
        mask: True where the sky is seen, of the size of the pictures, (H, W); ``None`` if it is not known.
    """

    camera: SkyCamera
    pictures: Pictures
    parts: list[Part] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    dome: Dome | None = None
    sightings: Sightings | None = None
    bodies: Bodies | None = None
    orientation: Orientation | None = None
    mask: NDArray[np.bool_] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of all parts for a camera file, without the mask."""
        return {name: value for part in self.parts for name, value in part.settings.items()}

    @property
    def complete(self) -> bool:
        """Whether every part is determined for certain, but for a dome, which not every camera has."""
        return all(part.settings and part.certain for part in self.parts if part.name != 'dome')

    @property
    def agreement(self) -> Agreement:
        """Pictures and stars that agree with the fit."""
        if self.orientation is None or self.sightings is None or self.bodies is None:
            return Agreement(0, 0, 0)
        owners = self.sightings.pictures[self.orientation.fit.chosen]
        stars = int(self.bodies.stars[owners].sum())
        up = np.isfinite(self.bodies.directions).all(1) & ~self.bodies.stars
        with_body = len(np.unique(self.sightings.pictures[up[self.sightings.pictures]]))
        return Agreement(len(owners) - stars, with_body, stars)

    @property
    def leeway(self) -> Leeway | None:
        """Which clocks fit as well; ``None`` without north, and for a camera that leans so far that any may."""
        if self.orientation is None or self.pictures.place is None or 'north' not in self.settings:
            return None
        return leeway_of(*self.orientation.fit.tilt, self.pictures.place)


def calibrate(
    files: Sequence[str], camera: SkyCamera, *, leaning: bool = False, on_picture: Callable[[], None] = lambda: None
) -> Calibration:
    """Calibrate a camera.

    Args:
        files: Pictures of the camera of one size, best of some days with clouds and sun.
        camera: What is known: how to read the times, and the place unless EXIF data have it.
        leaning: The camera is known to lean far from the zenith, so that a large tilt is no sign of wrong times.
        on_picture: Called after each picture that was read.

    Raises:
        ValueError: No picture can be read, they differ in size, or a time does not exist in its time zone.
        ImportError: pvlib or pyerfa is not installed, or for FITS images astropy.
    """
    pictures = read_pictures(files, camera, on_picture=on_picture)
    rim, dome_part = _dome(pictures)
    found = _orient(pictures, rim, leaning=leaning)
    if (off := _off_axis(pictures, rim, found.get('orientation'))) is not None:
        rim, dome_part = (
            None,
            Part('dome', {}, f'none: the circle that was found is {off:.0f} pixels off the optical axis'),
        )
        found = _orient(pictures, rim, leaning=leaning)
    dome = None if rim is None else rim.dome
    mask, mask_part = _mask(pictures, dome)
    parts = [dome_part, *found.pop('parts'), mask_part]
    return Calibration(camera, pictures, parts, dome=dome, mask=mask, **found)


def _dome(pictures: Pictures) -> tuple[Rim | None, Part]:
    """Find the dome in the brightest levels of all pictures, in their mean, or in single ones."""
    factor = pictures.size[0] / pictures.brightest.shape[1]
    single = np.array([(*dome.center, dome.radius) for dome in pictures.domes if dome is not None]).reshape(-1, 3)
    middle = np.median(single, 0) if len(single) >= _DOMES else None
    spread = 0.0 if middle is None else float(1.4826 * np.median(np.abs(single - middle), 0).max())
    dome = dome_of(pictures.brightest, factor) or dome_of(pictures.mean, factor)
    if dome is None and middle is not None:
        dome = Dome((float(middle[0]), float(middle[1])), float(middle[2]))
    if dome is None:
        return None, Part('dome', {}, 'none: no bright circle on a dark frame')
    if spread > _VAGUE * dome.radius:
        return None, Part('dome', {}, f'none: single pictures disagree by {spread:.0f} pixels')
    (x, y), merit = dome.center, 'found in the brightest levels of all pictures'
    if middle is not None:
        merit = f'found in {len(single)} of {len(pictures.domes)} single pictures, within {spread:.2f} pixels'
    settings = dict(center=[round(x, 2), round(y, 2)], radius=round(dome.radius, 2), image_size=list(pictures.size))
    return Rim(dome, spread), Part('dome', settings, merit)


def _off_axis(pictures: Pictures, rim: Rim | None, orientation: Orientation | None) -> float | None:
    """Return the distance of a dome from the axis of the lens in pixels, if it is so far that it is no dome.

    In a dark picture the trees around the sky may look like one.
    """
    if rim is None or orientation is None:
        return None
    center, _ = _start(pictures, rim)
    off = float(np.hypot(*(orientation.fit.values[:2] - np.array(center.pixel))))
    known = float(np.hypot(orientation.fit.sigma('x'), orientation.fit.sigma('y')))
    return off if off > _OFF_AXIS * float(np.hypot(center.error, known)) else None


def _mask(pictures: Pictures, dome: Dome | None) -> tuple[NDArray[np.bool_] | None, Part]:
    """Find the mask at a reduced size, and enlarge it."""
    (width, height), (rows, columns) = pictures.size, pictures.stack.shape[1:3]
    inside = np.ones((rows, columns), bool)
    if dome is not None:
        inside = dome.scaled(columns / width, columns / width).mask(rows, columns)
    try:
        found = find_mask(pictures.stack, inside)
    except ValueError as error:
        return None, Part('mask', {}, str(error))
    merit = f'{found.pictures} pictures, {found.hidden:.1%} hidden, two halves of them agree to {found.agreement:.2f}'
    if found.agreement < AGREEMENT:
        return None, Part('mask', {}, f'{merit}, less than {AGREEMENT}: expected more pictures of other days')
    levels = cv2.resize(found.sky.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return levels >= 0.5, Part('mask', dict(mask='mask.png'), merit)


def _orient(pictures: Pictures, rim: Rim | None, *, leaning: bool) -> dict[str, Any]:
    """Return the parts that sun, moon and stars determine, with warnings, sightings, bodies and the orientation."""
    place = pictures.place
    names = ('lens', 'north', 'tilt')
    if all(time is None for time in pictures.times):
        return dict(parts=[Part(name, {}, 'no picture has a time: give its pattern in names') for name in names])
    if place is None:
        return dict(parts=[Part(name, {}, 'no place: give latitude and longitude') for name in names])
    sightings = _sightings(pictures)
    center, focals = _start(pictures, rim)
    # Without anything bright in it, a picture needs no body, and no ephemeris of the moon.
    times = [time if disks else None for time, disks in zip(pictures.times, pictures.disks, strict=True)]
    bodies = bodies_at(times, place)
    found = search(sightings, bodies.vectors, center.pixel, focals=focals)
    orientation = orient(sightings, bodies.directions, found, center)
    options: dict[str, Any] = dict(focals=focals, center=center)
    night = _night(pictures, place, sightings, bodies, start=orientation, **options)
    by_sun = partial(better_readings, sightings, times, place, focals=focals, center=center.pixel)
    if isinstance(night, Night):
        sightings, bodies, orientation = night.sightings, night.bodies, night.orientation
    better = []
    if not leaning and not _is_plausible(orientation):
        better = _readings(orientation, place, night, by_sun, LEANS)
    results = dict(sightings=sightings, bodies=bodies, orientation=orientation)
    if better:
        words = list(dict.fromkeys(better))
        clock = f'the sky contradicts the times or the place: {"; or ".join(words[:3])}'
        return dict(
            parts=[Part(name, {}, 'the sky contradicts the times or the place') for name in names],
            warnings=[f'{clock}. Mend it and run this again'],
            **results,
        )
    if orientation is None:
        lost = f'by the stars the camera leans by {night.found.tilt:.0f} degrees' if isinstance(night, Night) else night
        return dict(parts=[Part(name, {}, _nothing(pictures, sightings, bodies, lost)) for name in names], **results)
    parts = _parts(pictures, rim, orientation)
    if not any(part.settings for part in parts):
        return dict(parts=parts, **results)
    doubts = []
    if not leaning and orientation.fit.tilt[0] > _LEVEL:
        doubts = _readings(orientation, place, night, by_sun, _LEVEL)
    return dict(parts=parts, warnings=_warnings(orientation, parts, doubts), **results)


def _sightings(pictures: Pictures) -> Sightings:
    """Return the bright disks of all pictures."""
    disks = [(number, disk) for number, own in enumerate(pictures.disks) for disk in own]
    points = np.array([disk.center for _, disk in disks], float).reshape(-1, 2)
    spreads = np.array([disk.spread for _, disk in disks], float)
    return Sightings(points, np.array([number for number, _ in disks], int), spreads)


def _night(
    pictures: Pictures,
    place: Place,
    sightings: Sightings,
    bodies: Bodies,
    *,
    start: Orientation | None,
    center: Center,
    focals: Array,
) -> Night | str:
    """Return the orientation by the stars, or why there is none.

    If the stars are not where the lens by the sun says, an hour of sun has not told it well, and they are searched for.
    Without one by the sun, all stars are tried after those that should be up: a wrong time shows others.
    """
    given = start.fit if start is not None and _is_plausible(start) else None
    why = ''
    tries = [(given, LOWEST), (None, LOWEST)] if given else [(None, LOWEST), (None, -90.0)]
    for lens, lowest in tries:
        field = star_field(pictures.points, pictures.times, place, side=max(pictures.size), lowest=lowest)
        if field is None:
            return f'less than {FEWEST} pictures of a night show points of light that move'
        try:
            return orient_by_stars(field, sightings, bodies, center=center, focals=focals, start=lens)
        except ValueError as error:
            why = str(error)
    return why


def _nothing(pictures: Pictures, sightings: Sightings, bodies: Bodies, night: str) -> str:
    """Return why neither sun and moon nor the stars tell an orientation."""
    up = np.isfinite(bodies.directions[sightings.pictures]).all(1)
    seen, timed = len(np.unique(sightings.pictures[up])), sum(time is not None for time in pictures.times)
    return (
        f'in {seen} of {timed} pictures with a time something is bright and round while the sun or the moon is up, '
        f'but less than {LEAST} of these agree on where it is: expected some hours of sun. By night: {night}'
    )


def _readings(
    orientation: Orientation | None,
    place: Place,
    night: Night | str,
    by_sun: Callable[..., list[tuple[Reading, Found]]],
    leans: float,
) -> list[str]:
    """Return in words how times and place would have to be read for a camera that looks straight up."""
    if isinstance(night, Night):
        readings = readings_of_axis(night.found.tilt, night.found.toward, place, leans=leans)
        return [_in_words(one, night.found.east_left) for one in readings]
    lens = None if orientation is None else orientation.fit
    return [_in_words(reading, found.east_left) for reading, found in by_sun(lens, leans=leans)]


def _is_plausible(orientation: Orientation | None) -> bool:
    """Return whether most suns are where they should be in a camera that looks straight up, so that times are right."""
    if orientation is None:
        return False
    return orientation.fit.tilt[0] <= LEANS and len(orientation.fit.chosen) >= _MANY * orientation.pictures


def _in_words(reading: Reading, east_left: bool) -> str:
    return reading.words if east_left else f'{reading.words}, and the pictures are mirrored'


def _start(pictures: Pictures, rim: Rim | None) -> tuple[Center, Array]:
    """Return what is known of the center, and focal lengths to try, in pixels."""
    if rim is not None:
        (center, radius), (pixels, share) = rim.dome, _DOME_ERROR
        return Center(center, pixels + share * radius + rim.spread, radius), radius / _RIM
    width, height = pictures.size
    middle = (width - 1) / 2, (height - 1) / 2
    return Center(middle, _NO_DOME_ERROR * min(width, height)), max(width, height) / 2 * _WIDE


def _parts(pictures: Pictures, rim: Rim | None, orientation: Orientation) -> list[Part]:
    """Return lens, north and tilt, each only if it is known well enough."""
    fit, known = orientation.fit, orientation.uncertainty
    if orientation.mirrored is not None:
        why = f'an arc of {orientation.arc:.0f} degrees fits a mirrored picture as well: expected more hours of sun'
        return [Part(name, {}, why) for name in ('lens', 'north', 'tilt')]
    north = dict(north=round(float(fit.values[3] % 360), 2), east='left' if fit.east_left else 'right')
    angle, toward = fit.tilt
    tilt = dict(tilt=round(angle, 2), tilt_azimuth=round(toward, 1))
    parts = [
        ('lens', _lens(pictures, rim, orientation), known.lens, 'angles from the axis'),
        ('north', north, known.north, 'north'),
        ('tilt', tilt, max(known.tilt, known.north), 'tilt'),
    ]
    return [_part(name, settings, error, what) for name, settings, error, what in parts]


def _part(name: str, settings: dict[str, Any], error: float, what: str) -> Part:
    if not error <= LIMIT:
        why = f'{what} known to {error:.2g} degrees, expected {LIMIT:g}: {_MORE}'
        return Part(name, {}, why)
    merit = f'{what} known to {max(error, 0.01):.2f} degrees'
    if error > CERTAIN:
        return Part(name, settings, f'uncertain: {merit}, expected {CERTAIN:g}: {_MORE}', certain=False)
    return Part(name, settings, merit)


def _lens(pictures: Pictures, rim: Rim | None, orientation: Orientation) -> dict[str, Any]:
    """Return projection and field of view, and the dome that they are for."""
    fit, dome = orientation.fit, None if rim is None else rim.dome
    x, y, focal = (float(value) for value in fit.values[:3])
    projection = PROJECTIONS[fit.projection]
    half = np.pi / 2
    if dome is not None:
        angles = np.linspace(0, projection.widest, 8192)
        half = float(np.interp(dome.radius / focal, projection.radius(angles), angles))
    radius = dome.radius if dome is not None else focal * float(projection.radius(np.array(half)))
    return dict(
        projection=fit.projection,
        field_of_view=round(float(np.degrees(2 * half)), 2),
        center=[round(x, 2), round(y, 2)],
        radius=round(radius, 2),
        image_size=list(pictures.size),
    )


def _warnings(orientation: Orientation, parts: list[Part], doubts: list[str]) -> list[str]:
    """Return what a person should know of an orientation, which other readings of times and place may explain."""
    found, (tilt, toward) = [], orientation.fit.tilt
    if uncertain := [part.name for part in parts if not part.certain]:
        found.append(f'{" and ".join(uncertain)} uncertain by more than {CERTAIN:g} degrees: {_MORE}')
    if not orientation.fit.east_left and orientation.mirrored is None:
        found.append(
            'the pictures are mirrored: east is right of north, where someone looking up sees it left. The camera file '
            'says so; if a program mirrors them, it is no fault'
        )
    if tilt > LEANS or doubts:
        other = f', or {doubts[0]}: check the times' if doubts else ''
        found.append(f'the camera leans by {tilt:.1f} degrees towards azimuth {toward:.0f}{other}')
    return found
