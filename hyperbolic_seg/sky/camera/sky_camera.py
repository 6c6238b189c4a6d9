"""Settings of a sky camera, read from a short YAML file."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import printable
from hyperbolic_seg.images import MAX_PIXELS, Levels, reduced_size
from hyperbolic_seg.sky.camera.about import check_about
from hyperbolic_seg.sky.camera.cover_calibration import CoverCalibration
from hyperbolic_seg.sky.camera.dome import find_dome
from hyperbolic_seg.sky.camera.exif import Exif, exif_of
from hyperbolic_seg.sky.camera.fits_header import FitsHeader, fits_header_of
from hyperbolic_seg.sky.camera.lens import Lens
from hyperbolic_seg.sky.camera.mask import read_mask
from hyperbolic_seg.sky.camera.moon import Moon, around_moon, moon_at
from hyperbolic_seg.sky.camera.regions import Region, read_regions
from hyperbolic_seg.sky.camera.safety import SafetyRule
from hyperbolic_seg.sky.camera.sun import Place, Sun, around_sun, sun_at
from hyperbolic_seg.sky.camera.time_names import TimePattern
from hyperbolic_seg.sky.camera.zones import in_order, zone_of
from hyperbolic_seg.text import read_yaml, shown

MAX_BYTES = 2**16
"""Limit of the size of a camera file in bytes."""

FALLBACKS = ('exif', 'file')
"""What the time of an image may be from if its name has none."""

_SAME_SHAPE = 0.01
_CENTRAL = 0.2  # share of the image that the center of a dome may lie off, if the size of the images is not known
_LEAST_FACTOR = 0.1
_LARGEST = 1e9  # magnitude of any number in a camera file


class View(NamedTuple):
    """Pixel weights, time, sun and moon of an image."""

    weights: NDArray[np.float64]
    """Solid angle of every pixel in steradians, (H, W), or at a reduced size; 0 where masked."""
    time: datetime | None
    """Time with a time zone; ``None`` if unknown."""
    sun: Sun | None
    """Direction of the sun; ``None`` without a time and a place."""
    time_source: str | None = None
    """What the time is from: ``'name'``, ``'file'``, ``'DATE-OBS'`` of a FITS header, or a tag of EXIF."""
    moon: Moon | None = None
    """Direction and phase of the moon; ``None`` without a time and a place."""
    regions: Mapping[str, NDArray[np.bool_] | None] = MappingProxyType({})
    """Pixels of the regions by name, (H, W) each; ``None`` where a region lies about a sun that is not up."""
    place: Place | None = None
    """Location of the camera; ``None`` if unknown."""


class Taken(NamedTuple):
    """When and where an image was taken, each ``None`` if unknown."""

    time: datetime | None
    time_source: str | None
    place: Place | None


@dataclass(frozen=True)
class SkyCamera:
    """A fisheye camera that looks straight up, or nearly so.

    Args:
        projection: One of :data:`~hyperbolic_seg.sky.camera.PROJECTIONS`.
        field_of_view: Field of view of the dome, from rim to rim, degrees.
        center: Center of the dome, (x, y) in pixels. Without it and ``radius``, the dome is found in every image.
        radius: Radius of the dome in pixels.
        image_size: Width and height of the images that the dome or the calibration was measured in; by default that of
            the mask. Images of another size and the same shape are scaled to it.
        calibration: File for :meth:`~hyperbolic_seg.sky.camera.Lens.from_opencv`, instead of a dome.
        north: Direction of north in the image, degrees clockwise from its upper edge.
        east: Side of east as seen from north, ``'left'`` or ``'right'``.
        tilt, tilt_azimuth: Angle between the optical axis and the zenith, and azimuth towards which the axis leans,
            degrees. ``north`` and ``east`` are those of the camera set upright, see
            :class:`~hyperbolic_seg.sky.camera.Lens`.
        zenith_limit: Largest zenith angle that counts, degrees.
        mask: Image of that size, black where something hides the sky
            (:mod:`~hyperbolic_seg.sky.camera.mask`).
        latitude, longitude, altitude: Degrees north and east, and meters; by default from the EXIF data.
        time_format: Pattern of the time in file names, such as ``'%Y%m%d_%H%M%S'``, for
            :class:`~hyperbolic_seg.sky.camera.TimePattern`; by default the time of the EXIF data.
        time_fallback: What else the time is from if the name has none: ``'exif'``, or ``'file'``, which is EXIF and
            then the time at which the file was changed. Without it an image has no time then.
        timezone: Time zone of times without one, such as ``'UTC'``, best also that of the camera's clock. Without it a
            time of EXIF data without a zone is that of its GPS data, and other times are in UTC.
        sun_angle: Radius of the mask around the sun by day, degrees; 0 masks nothing.
        moon_angle: Radius of the mask around the moon by night, when it is up and lit, degrees; 0 masks nothing.
        regions: Parts of the sky by name, whose cover is wanted as well.
        unsafe: When the sky is unsafe for open instruments; in a camera file a mapping of its settings.
        bit_depth: Bits of the levels that the camera writes into files of 16 bits, 8 to 16. Without it a PNG or TIFF
            has as many as its largest level needs, and a FITS image has 16.
        cover_calibration: File of :class:`~hyperbolic_seg.sky.camera.CoverCalibration`, for intervals of the cover.
        adaptation: File of ``hyperbolic-seg adapt``, which fits a model to the camera. The commands give it to the
            model; in Python :meth:`~hyperbolic_seg.apis.HyperSegInferencer.adapt` does.
        white_balance: Factors of red and blue for FITS images, whose header has none.
        station: Name of the station, for time series.
        attributes: What else time series say about the camera and its owner, by the names of
            :data:`~hyperbolic_seg.sky.camera.ATTRIBUTES`.

    Raises:
        OSError: There is no such calibration (``FileNotFoundError``), or a file cannot be read.
        ValueError: A setting is out of range or not finite, or one of its files is invalid.
    """

    projection: str = 'equidistant'
    field_of_view: float = 180.0
    center: tuple[float, float] | None = None
    radius: float | None = None
    image_size: tuple[int, int] | None = None
    calibration: str | None = None
    north: float = 0.0
    east: str = 'left'
    tilt: float = 0.0
    tilt_azimuth: float = 0.0
    zenith_limit: float = 80.0
    mask: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude: float = 0.0
    time_format: str | None = None
    time_fallback: str | None = None
    timezone: str | None = None
    sun_angle: float = 5.0
    moon_angle: float = 5.0
    regions: Mapping[str, Region] = field(default_factory=dict, hash=False)
    unsafe: SafetyRule | None = None
    bit_depth: int | None = None
    white_balance: tuple[float, float] = (1.0, 1.0)
    cover_calibration: str | None = None
    adaptation: str | None = None
    station: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for each in fields(self):
            _check_finite(each.name, getattr(self, each.name))
        if self.east not in ('left', 'right'):
            raise ValueError(f"east {self.east!r}: expected 'left', as seen by someone looking up, or 'right'")
        for one, other in (('center', 'radius'), ('latitude', 'longitude')):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f'{one} and {other} go together: give both or neither')
        if self.calibration is not None and self.center is not None:
            raise ValueError('a calibration has its own center: leave out center and radius')
        if self.image_size is not None and not all(1 <= side <= MAX_PIXELS for side in self.image_size):
            raise ValueError(f'image_size {self.image_size}: expected width and height in pixels')
        if not (0 < self.zenith_limit <= 180 and 0 <= self.sun_angle <= 180 and 0 <= self.moon_angle <= 180):
            raise ValueError(
                f'zenith_limit {self.zenith_limit}, sun_angle {self.sun_angle}, moon_angle {self.moon_angle}: '
                'expected degrees up to 180'
            )
        if self.bit_depth is not None and not 8 <= self.bit_depth <= 16:
            raise ValueError(f'bit_depth {self.bit_depth}: expected bits from 8 to 16')
        if not all(_LEAST_FACTOR <= factor <= 1 / _LEAST_FACTOR for factor in self.white_balance):
            raise ValueError(
                f'white_balance {self.white_balance}: expected factors of red and blue from {_LEAST_FACTOR} to '
                f'{1 / _LEAST_FACTOR:.0f}, green being 1'
            )
        place = (self.latitude or 0.0, self.longitude or 0.0, self.altitude)
        if not all(abs(number) <= most for number, most in zip(place, (90, 180, 1e5), strict=True)):
            raise ValueError(f'no place: {place[0]} degrees north, {place[1]} east, {place[2]} meters up')
        if wrong := [name for name, region in self.regions.items() if not isinstance(region, Region)]:
            raise ValueError(f'regions: {shown(wrong[0])}: expected a Region, got {shown(self.regions[wrong[0]])}')
        if self.timezone is not None:
            zone_of(self.timezone)
        if self.time_format is not None:
            TimePattern(self.time_format)
        if self.time_fallback not in (None, *FALLBACKS):
            raise ValueError(f'time_fallback {self.time_fallback!r}: expected one of {", ".join(FALLBACKS)}')
        if not isinstance(self.unsafe, (SafetyRule, type(None))):
            raise ValueError(f'unsafe: {shown(self.unsafe)}: expected a SafetyRule')
        check_about(self.station, self.attributes)
        # Invalid lenses and masks are refused here, before the first image.
        self._lens_of(self.center or (0.0, 0.0), 1.0 if self.radius is None else self.radius)
        if self.mask is not None:
            read_mask(self.mask)
        _ = self.intervals

    @cached_property
    def intervals(self) -> CoverCalibration | None:
        """Calibration of the intervals of the cloud cover, if there is one."""
        if self.cover_calibration is None:
            return None
        if not Path(self.cover_calibration).exists():
            raise ValueError(f'the cover_calibration {self.cover_calibration} is missing')
        return CoverCalibration.load(self.cover_calibration)

    @classmethod
    def load(cls, file: str | Path) -> 'SkyCamera':
        """Read a YAML file of settings; paths in it are relative to its folder.

        Raises:
            OSError: There is no such file (``FileNotFoundError``), or it cannot be read.
            ValueError: The file is not regular, too large, not YAML, or a setting in it is invalid.
        """
        file = Path(file)
        if not file.exists():
            raise FileNotFoundError(f'no camera file {file}')
        content = read_yaml(file, max_bytes=MAX_BYTES)
        try:
            return cls(**_checked({} if content is None else content, file.parent))
        except (ValueError, OverflowError, OSError) as error:
            raise ValueError(f'{file}: {printable(error)}') from error

    @property
    def levels(self) -> Levels:
        """What is known of the levels in its files."""
        return Levels(self.bit_depth, self.white_balance)

    def view(
        self,
        image: NDArray[np.uint8],
        file: str | Path,
        *,
        after: datetime | None = None,
        exif: Exif | FitsHeader | None = None,
        reduced: bool = False,
        size: tuple[int, int] | None = None,
    ) -> View:
        """Return pixel weights, time, sun and moon of an image.

        Args:
            image: BGR image, (H, W, 3).
            file: File of the image.
            after, exif: See :meth:`taken`.
            reduced: Return weights and regions of a large image at :func:`~hyperbolic_seg.images.reduced_size`.
            size: See :meth:`lens`. The view is of this size, or with ``reduced`` reduced from it.

        Raises:
            ValueError: No dome is found, or the image has another shape than the images that the camera file is for.
        """
        whole = image.shape[:2] if size is None else size
        height, width = reduced_size(*whole) if reduced else whole
        lens = self.lens(image, size=size).scaled(width / whole[1], height / whole[0])
        weights, directions = lens.solid_angles(height, width), lens.directions(height, width)
        weights[~(np.nan_to_num(directions.zenith, nan=np.inf) <= self.zenith_limit)] = 0
        if self.mask is not None:
            seen = read_mask(self.mask)
            if seen.shape != (height, width):
                self._factor(*whole)  # refuses another shape
                levels = seen.view(np.uint8) * np.uint8(255)
                levels = cv2.resize(levels, (width, height), interpolation=cv2.INTER_LINEAR)
                seen = levels >= 128
            weights[~seen] = 0
        view = self.unseen(file, after=after, exif=exif)
        if view.sun is not None and view.moon is not None:
            weights[around_sun(directions, view.sun, angle=self.sun_angle)] = 0
            weights[around_moon(directions, view.moon, sun=view.sun, angle=self.moon_angle)] = 0
        regions = {name: each.mask(directions, view.sun) for name, each in self.regions.items()}
        return view._replace(weights=weights, regions=regions)

    def unseen(self, file: str | Path, *, after: datetime | None = None, exif: Exif | FitsHeader | None = None) -> View:
        """Return time, sun and moon of an image, without any pixel; the arguments are those of :meth:`taken`.

        Raises:
            ValueError: The time does not exist in its time zone.
        """
        taken, nothing = self.taken(file, after=after, exif=exif), np.zeros((0, 0))
        regions = dict.fromkeys(self.regions)
        if taken.time is None or taken.place is None:
            return View(nothing, taken.time, None, taken.time_source, None, regions, taken.place)
        sun, moon = sun_at(taken.time, taken.place), moon_at(taken.time, taken.place)
        return View(nothing, taken.time, sun, taken.time_source, moon, regions, taken.place)

    def lens(self, image: NDArray[np.uint8], *, size: tuple[int, int] | None = None) -> Lens:
        """Return the lens: the calibrated one, that of the given dome, or that of the dome found in the image.

        Args:
            image: BGR image, (H, W, 3).
            size: Height and width of the picture that the image was reduced from, whose lens is returned; by default
                the image is the picture itself.

        Raises:
            ValueError: No dome is found, or the given one is of images of another shape.
        """
        height, width = image.shape[:2] if size is None else size
        if self.calibration is not None or self.center is not None:
            lens = self._lens_of(self.center, self.radius)
            return lens.scaled(self._factor(height, width, lens.center))
        return self._lens_of(*find_dome(image).scaled(width / image.shape[1], height / image.shape[0]))

    def _factor(self, height: int, width: int, center: tuple[float, float] | None = None) -> float:
        """Return the size of an image over that of the images that the camera file is for.

        Args:
            height: Height of the image.
            width: Width of the image.
            center: Center of the dome or of the calibration.

        Raises:
            ValueError: The shapes differ, or the size is not known and the dome lies at the side of the image.
        """
        own = self.image_size
        if own is None and self.mask is not None:
            rows, columns = read_mask(self.mask).shape
            own = columns, rows
        if own is not None:
            factor = (width / own[0], height / own[1])
            if abs(factor[0] / factor[1] - 1) > _SAME_SHAPE:
                raise ValueError(
                    f'the camera file is for images of {own[0]} x {own[1]} pixels, this one has {width} x {height}, '
                    'another shape: make a camera file for each'
                )
            return math.sqrt(factor[0] * factor[1])
        if center is not None:
            off = abs(center[0] / width - 0.5), abs(center[1] / height - 0.5)
            if max(off) > _CENTRAL:
                raise ValueError(
                    f'the center {center} lies at the side of an image of {width} x {height} pixels: is it that '
                    'of another size? Give image_size: [width, height] of the images that it was measured in'
                )
        return 1.0

    def _lens_of(self, center: Any, radius: Any) -> Lens:
        options: dict[str, Any] = dict(
            field_of_view=self.field_of_view,
            north=self.north,
            east_left=self.east == 'left',
            tilt=self.tilt,
            tilt_azimuth=self.tilt_azimuth,
        )
        if self.calibration is not None:
            return Lens.from_opencv(self.calibration, **options)
        return Lens.from_dome(center, radius, projection=self.projection, **options)

    def taken(self, file: str | Path, *, after: datetime | None = None, exif: Exif | FitsHeader | None = None) -> Taken:
        """Return time and place of an image.

        Args:
            file: File of the image.
            after: Time of the picture before it, if that is known. It tells the two passes of the hour apart that comes
                twice when clocks are put back; without it the first is assumed.
            exif: EXIF data or FITS header of an image in memory. The file is then a mere name, from which nothing is
                read.

        Raises:
            ValueError: The time does not exist in its time zone, or is in a scale other than UTC.
            ImportError: The file is a FITS image, and astropy is not installed.
        """
        inside, time, source = exif or fits_header_of(file) or exif_of(file), None, None
        zone = None if self.timezone is None else zone_of(self.timezone)
        if self.time_format is not None:
            time, source = TimePattern(self.time_format).time(file, zone or timezone.utc), 'name'
        if time is None and (self.time_format is None or self.time_fallback is not None):
            time, source = inside.time(zone) or (None, None)
        if time is None and self.time_fallback == 'file' and exif is None:
            time, source = datetime.fromtimestamp(Path(file).stat().st_mtime, timezone.utc), 'file'
        time = None if time is None else in_order(time, after)
        place = inside.place
        if self.latitude is not None and self.longitude is not None:
            place = Place(self.latitude, self.longitude, self.altitude)
        return Taken(time, None if time is None else source, place)


def _checked(content: Any, folder: Path) -> dict[str, Any]:
    """Return settings with checked types and resolved paths."""
    if not isinstance(content, dict):
        raise ValueError(f'expected settings such as "field_of_view: 180", got {shown(content)}')
    known = {each.name for each in fields(SkyCamera)}
    if unknown := sorted(map(str, content.keys() - known)):
        raise ValueError(f'no such settings: {", ".join(unknown)[:200]}. There are {", ".join(sorted(known))}')
    words = {'projection', 'calibration', 'east', 'mask', 'time_format', 'time_fallback', 'timezone', 'station'}
    words |= {'cover_calibration', 'adaptation'}
    pairs = {'center': 'two numbers', 'image_size': 'two whole numbers', 'white_balance': 'two numbers'}
    whole = {'image_size', 'bit_depth'}
    readers: dict[str, Callable[[Any], Any]] = dict(regions=read_regions, unsafe=SafetyRule.of)
    read = {name: reader(content[name]) for name, reader in readers.items() if name in content}
    for name, value in content.items():
        if name == 'attributes':
            _check_texts(value)
        if name == 'attributes' or name in read:
            continue
        numbers = value if name in pairs and isinstance(value, list) and len(value) == 2 else [value]
        kinds = (int,) if name in whole else (int, float)
        fits = isinstance(value, str) if name in words else all(type(number) in kinds for number in numbers)
        if not fits or (name in pairs and numbers is not value):
            expected = (
                'text, in quotes'
                if name in words
                else pairs.get(name, 'a whole number' if name in whole else 'a number')
            )
            raise ValueError(f'{name}: {shown(value)}: expected {expected}')
    files = ('calibration', 'mask', 'cover_calibration', 'adaptation')
    paths = {name: str(folder / content[name]) for name in files if name in content}
    return content | paths | read | {name: tuple(content[name]) for name in pairs if name in content}


def _check_texts(value: Any) -> None:
    if not isinstance(value, dict) or not all(isinstance(text, str) for each in value.items() for text in each):
        raise ValueError(f'attributes: {shown(value)}: expected names with texts, such as institution: "A university"')


def _check_finite(name: str, value: Any) -> None:
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, (int, float)) and not -_LARGEST < number < _LARGEST:
            raise ValueError(f'{name}: {shown(number)}: expected a finite number below {_LARGEST:.0e}')
