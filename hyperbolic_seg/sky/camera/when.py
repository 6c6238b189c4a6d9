"""Time and place of an image, from its EXIF data or its file name."""

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from PIL import ExifTags, Image, UnidentifiedImageError

from hyperbolic_seg.files import open_regular
from hyperbolic_seg.sky.camera.sun import Place

_LONGEST_ZONE = 100
_DIGITS = {'Y': 4, 'm': 2, 'd': 2, 'H': 2, 'M': 2, 'S': 2, 'j': 3, 'y': 2}


def zone_of(name: str) -> tzinfo:
    """Return a time zone by name, such as ``'Europe/Oslo'``, ``'UTC'`` or ``'+01:00'``.

    Raises:
        ValueError: There is no such time zone.
    """
    if match := re.fullmatch(r'([+-])(\d{2}):?(\d{2})', name):
        sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        if offset < timedelta(hours=24):
            return timezone(-offset if sign == '-' else offset)
    name = name[:_LONGEST_ZONE]
    try:
        return timezone.utc if name.upper() in ('UTC', 'Z') else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'no time zone {name!r}: expected such as UTC, +01:00 or Europe/Oslo') from error


def time_in_name(file: str | Path, pattern: str, zone: tzinfo) -> datetime | None:
    """Return the time in a file name, ``None`` if there is none.

    Args:
        file: File such as ``'cam2_20240717_113000.jpg'``.
        pattern: Pattern of :meth:`datetime.datetime.strptime` with numeric codes only, such as ``'%Y%m%d_%H%M%S'``,
            to be found anywhere in the name.
        zone: Time zone of the time.

    Raises:
        ValueError: The pattern has a code other than %Y, %y, %m, %d, %j, %H, %M, %S, has one twice, or defines no day.
    """
    parts = re.split(r'%(.)', pattern)
    codes = parts[1::2]
    if unknown := sorted(set(codes) - _DIGITS.keys()):
        raise ValueError(f'the pattern {pattern!r} has %{", %".join(unknown)}: expected %{", %".join(_DIGITS)}')
    if len(set(codes)) < len(codes):
        raise ValueError(f'the pattern {pattern!r} has a code twice: expected each once')
    if not {'Y', 'y'} & set(codes) or not ({'m', 'd'} <= set(codes) or 'j' in codes):
        raise ValueError(f'the pattern {pattern!r} names no day: expected year, month and day, such as %Y%m%d_%H%M%S')
    literal = (re.escape(part) if number % 2 == 0 else rf'\d{{{_DIGITS[part]}}}' for number, part in enumerate(parts))
    for found in re.finditer(f'(?=({"".join(literal)}))', Path(file).stem):
        try:
            return datetime.strptime(found[1], pattern).replace(tzinfo=zone)
        except ValueError:  # such as month 13: try the next match
            continue
    return None


def exif_of(file: str | Path) -> tuple[datetime | None, Place | None]:
    """Return time and place of the EXIF data; the time has a time zone only if EXIF has one.

    Missing or damaged data gives ``None``, and so does a file that is not regular or not an image.
    """
    try:
        with open_regular(file) as content, Image.open(content) as image:
            exif = image.getexif()
            own, gps = dict(exif.get_ifd(ExifTags.IFD.Exif)), dict(exif.get_ifd(ExifTags.IFD.GPSInfo))
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None, None
    return _time(own), _place(gps)


def _time(exif: Mapping[int, Any]) -> datetime | None:
    local, offset = (exif.get(tag) for tag in (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal))
    try:
        time = datetime.strptime(str(local).strip('\0 '), '%Y:%m:%d %H:%M:%S')
        return time if offset is None else time.replace(tzinfo=zone_of(str(offset).strip('\0 ')))
    except ValueError:
        return None


def _place(gps: Mapping[int, Any]) -> Place | None:
    tags = ExifTags.GPS
    try:
        latitude = _degrees(gps[tags.GPSLatitude]) * (-1 if gps.get(tags.GPSLatitudeRef) == 'S' else 1)
        longitude = _degrees(gps[tags.GPSLongitude]) * (-1 if gps.get(tags.GPSLongitudeRef) == 'W' else 1)
        below = gps.get(tags.GPSAltitudeRef) in (1, b'\x01')
        altitude = float(gps.get(tags.GPSAltitude, 0.0)) * (-1 if below else 1)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    found = Place(latitude, longitude, altitude)
    sane = all(map(math.isfinite, found)) and abs(latitude) <= 90 and abs(longitude) <= 180
    return found if sane else None


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    return degrees + minutes / 60 + seconds / 3600
