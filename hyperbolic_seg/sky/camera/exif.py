"""Time and place of an image from its EXIF data (CIPA DC-008-2019, "Exchangeable image file format", 4.6)."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import ExifTags, Image, UnidentifiedImageError

from hyperbolic_seg.files import open_regular
from hyperbolic_seg.sky.camera.sun import Place
from hyperbolic_seg.sky.camera.zones import in_zone, zone_of

_FARTHEST_ZONE = timedelta(hours=15)  # from UTC; a GPS time that is further from the local one is of another image
_TIFF = (b'II*\0', b'MM\0*')
_LATER = (
    ('DateTimeDigitized', ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
    ('DateTime', ExifTags.Base.DateTime, ExifTags.Base.OffsetTime),
)
_TAGS = (
    ExifTags.Base.DateTimeOriginal,
    ExifTags.Base.OffsetTimeOriginal,
    *(tag for _, *pair in _LATER for tag in pair),
)
_LONGEST = 64  # characters of a tag that says when or where


class Exif(NamedTuple):
    """EXIF tags of an image, and the time and place in them."""

    tags: Mapping[int, Any]
    """Tags of the image and of the exposure, by number."""
    gps: Mapping[int, Any]
    """Tags of the position, by number."""

    @property
    def place(self) -> Place | None:
        """The position; ``None`` without one, or without the hemispheres."""
        tags = ExifTags.GPS
        try:
            latitude = _degrees(self.gps[tags.GPSLatitude]) * _sign(self.gps[tags.GPSLatitudeRef], 'NS')
            longitude = _degrees(self.gps[tags.GPSLongitude]) * _sign(self.gps[tags.GPSLongitudeRef], 'EW')
            below = self.gps.get(tags.GPSAltitudeRef) in (1, b'\x01', '\x01')
            altitude = float(self.gps.get(tags.GPSAltitude, 0.0)) * (-1 if below else 1)
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            return None
        found = Place(latitude, longitude, altitude)
        sane = all(map(math.isfinite, found)) and abs(latitude) <= 90 and abs(longitude) <= 180
        return found if sane else None

    @property
    def plain(self) -> 'Exif':
        """The tags of time and place alone, as text, numbers and lists of numbers, so that JSON can hold them."""
        tags = {int(tag): _plain(self.tags[tag]) for tag in _TAGS if tag in self.tags}
        return Exif(tags, {int(tag): _plain(self.gps[tag]) for tag in ExifTags.GPS if tag in self.gps and tag <= 29})

    def time(self, zone: tzinfo | None) -> tuple[datetime, str] | None:
        """Return the time, with a time zone, and the tag that it is from.

        That of the exposure counts with its own zone, or else that of the camera, or else the time of GPS, which is in
        UTC. The times of digitization and of the last change are last resorts.

        Args:
            zone: Time zone of the clock of the camera; ``None`` if it is not known, which is UTC in the end.

        Raises:
            ValueError: The time does not exist in the time zone, because its clock was put forward.
        """
        offset = self.tags.get(ExifTags.Base.OffsetTimeOriginal)
        original, own = _local(self.tags.get(ExifTags.Base.DateTimeOriginal)), _zone(offset)
        if original is not None and (known := own or zone):
            return in_zone(original, known), 'DateTimeOriginal'
        satellite = self._time_of_gps()
        near = original is None or (satellite and abs(satellite.replace(tzinfo=None) - original) <= _FARTHEST_ZONE)
        if satellite is not None and near:
            return satellite, 'GPSTimeStamp'
        if original is not None:
            return in_zone(original, timezone.utc), 'DateTimeOriginal'
        for name, tag, its_offset in _LATER:
            if (local := _local(self.tags.get(tag))) is not None:
                return in_zone(local, _zone(self.tags.get(its_offset)) or zone or timezone.utc), name
        return None

    def _time_of_gps(self) -> datetime | None:
        tags = ExifTags.GPS
        try:
            day = datetime.strptime(_text(self.gps[tags.GPSDateStamp]), '%Y:%m:%d')
            hours, minutes, seconds = (float(part) for part in self.gps[tags.GPSTimeStamp])
            if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 61):
                return None
            return day.replace(tzinfo=timezone.utc) + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
            return None


def exif_of(file: str | Path) -> Exif:
    """Return the EXIF data of a file; nothing for one without, and for one that is damaged, not regular or no image."""
    try:
        with open_regular(file) as content:
            return _read(content)
    except (OSError, ValueError):
        return Exif({}, {})


def exif_in(content: bytes) -> Exif:
    """Return the EXIF data of the content of a file; nothing for one without, and for one that is damaged."""
    return _read(BytesIO(content))


def _read(content: BinaryIO) -> Exif:
    try:
        exif = _tags(content)
        own, gps = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
        return Exif(dict(exif) | dict(own), dict(gps))
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return Exif({}, {})


def _plain(value: Any) -> Any:
    """Return a tag as text, a number or a short list of them; empty text for anything else."""
    if isinstance(value, (str, bytes)):
        return _text(value)[:_LONGEST]
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value[:4] if not isinstance(part, (tuple, list))]
    try:
        return float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return ''


def _tags(content: BinaryIO) -> Image.Exif:
    """Return the tags of an image; those of a TIFF directly, because Pillow opens no raw photographs, which are one."""
    is_tiff = content.read(4) in _TIFF
    content.seek(0)
    if is_tiff:
        exif: Image.Exif = Image.Exif()
        exif.load_from_fp(content)
        return exif
    with Image.open(content) as image:
        exif = image.getexif()
    return exif


def _text(value: Any) -> str:
    """Return the text of a tag, without its padding."""
    text = value.decode('ascii', 'replace') if isinstance(value, bytes) else str(value)
    return text.strip('\0 ')


def _local(value: Any) -> datetime | None:
    try:
        return datetime.strptime(_text(value), '%Y:%m:%d %H:%M:%S')
    except ValueError:
        return None


def _zone(value: Any) -> tzinfo | None:
    """Return a time zone; EXIF prescribes blanks for an unknown one."""
    try:
        return zone_of(_text(value))
    except ValueError:
        return None


def _sign(reference: Any, letters: str) -> int:
    """Return 1 for the first letter and -1 for the second.

    Raises:
        ValueError: It is neither.
    """
    letter = _text(reference).upper()
    if letter not in tuple(letters):
        raise ValueError(f'{reference!r} is none of {letters}')
    return 1 if letter == letters[0] else -1


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    return degrees + minutes / 60 + seconds / 3600
