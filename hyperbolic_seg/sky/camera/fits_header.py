"""Time and place of an image from its FITS header (FITS standard 4.0, sections 4.4.2, 8.4.1 and 9)."""

import io
import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from hyperbolic_seg.files import open_regular, printable
from hyperbolic_seg.images import FITS, format_of, read_header
from hyperbolic_seg.sky.camera.sun import Place
from hyperbolic_seg.sky.camera.zones import zone_of

_PLACES = (
    ('OBSGEO-B', 'OBSGEO-L', 'OBSGEO-H'),  # of the standard; the others are of programs for cameras
    ('SITELAT', 'SITELONG', 'SITEELEV'),
    ('LAT-OBS', 'LONG-OBS', 'ALT-OBS'),
    ('OBSLAT', 'OBSLONG', 'OBSALT'),
)
_KEYWORDS = ('DATE-OBS', 'TIME-OBS', 'TIMESYS', *(keyword for place in _PLACES for keyword in place))
_UNIVERSAL = ('UTC', 'UT', 'UT1', 'GMT')
_TIME = re.compile(r'(\d{4}-\d{2}-\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?\s*(Z|[+-]\d{2}:?\d{2})?')
_ANGLE = re.compile(r'([+-]?)(\d{1,3})[\s:dh°]+(\d{1,2})[\s:m\']+(\d{1,2}(?:\.\d*)?)[s"]?')
_START = 4096  # bytes that tell the format
_LONGEST = 80  # characters of a keyword that says when or where


class FitsHeader(NamedTuple):
    """Keywords of a FITS image, and the time and place in them."""

    values: Mapping[str, Any]

    @property
    def plain(self) -> 'FitsHeader':
        """The same with texts of bounded length, so that little JSON holds it."""
        cut = {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in self.values.items()}
        return FitsHeader(cut)

    @property
    def place(self) -> Place | None:
        """The position; ``None`` without one.

        Longitudes are positive to the east, as -180 to 180 or as 0 to 360 degrees. Zero degrees north and east is what
        programs write that do not know the place.
        """
        for names in _PLACES:
            latitude, longitude, altitude = (_degrees(self.values.get(name)) for name in names)
            if latitude is None or longitude is None or not (abs(latitude) <= 90 and -180 <= longitude <= 360):
                continue
            if (latitude, longitude) != (0.0, 0.0):
                east = longitude - 360 if longitude > 180 else longitude
                return Place(latitude, east, altitude or 0.0)
        return None

    def time(self, zone: tzinfo | None) -> tuple[datetime, str] | None:
        """Return the time of ``DATE-OBS``, at which the exposure began, and the name of the keyword.

        A day without a time of the day is no time; it may be in ``TIME-OBS``.

        Args:
            zone: Not used, because the standard prescribes UTC.

        Raises:
            ValueError: ``TIMESYS`` names another scale than UTC.
        """
        text = str(self.values.get('DATE-OBS', '')).strip()
        if re.fullmatch(r'\d{4}-\d{2}-\d{2}', text):
            text += f'T{str(self.values.get("TIME-OBS", "")).strip()}'
        found = _TIME.fullmatch(text)
        if found is None:
            return None
        scale = str(self.values.get('TIMESYS', 'UTC')).strip().upper()
        if scale not in _UNIVERSAL:
            raise ValueError(f'DATE-OBS is in TIMESYS {printable(scale)}: expected UTC; set time_format instead')
        return None if (time := _moment(found)) is None else (time, 'DATE-OBS')


def fits_header_of(file: str | Path) -> FitsHeader | None:
    """Return the header of a FITS file; ``None`` for a file of another format, and for one that cannot be read.

    Raises:
        ImportError: It is a FITS file, and astropy is not installed.
    """
    try:
        with open_regular(file) as content:
            start = content.read(_START)
            content.seek(0)
            return _read(content, str(file)) if format_of(start) == FITS else None
    except (OSError, ValueError):
        return None


def fits_header_in(content: bytes) -> FitsHeader | None:
    """Return the header in the content of a file; see :func:`fits_header_of`."""
    try:
        return _read(io.BytesIO(content), 'the file') if format_of(content) == FITS else None
    except ValueError:
        return None


def _read(content: BinaryIO, name: str) -> FitsHeader:
    return FitsHeader(read_header(content, name, _KEYWORDS))


def _moment(found: 're.Match[str]') -> datetime | None:
    """Return the time that a regular expression found; ``None`` if there is none, such as of month 13.

    A leap second is the second after it, as clocks of computers have it.
    """
    day, hours, minutes, seconds, fraction, zone = found.groups()
    try:
        own = timezone.utc if zone in (None, 'Z') else zone_of(zone)
        time = datetime.strptime(f'{day} {hours} {minutes}', '%Y-%m-%d %H %M').replace(tzinfo=own)
    except ValueError:
        return None
    if int(seconds) > 60:
        return None
    time += timedelta(seconds=int(seconds), microseconds=int((fraction or '0')[:6].ljust(6, '0')))
    return time.astimezone(timezone.utc)


def _degrees(value: Any) -> float | None:
    """Return an angle or a height from a number, or from degrees, minutes and seconds in a text."""
    if isinstance(value, str) and (found := _ANGLE.fullmatch(value.strip())):
        sign, degrees, minutes, seconds = found.groups()
        size = int(degrees) + int(minutes) / 60 + float(seconds) / 3600
        return -size if sign == '-' else size
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
