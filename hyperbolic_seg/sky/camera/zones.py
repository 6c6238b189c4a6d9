"""Time zones of sky cameras."""

import re
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LONGEST = 100


def zone_of(name: str) -> tzinfo:
    """Return a time zone by name, such as ``'Europe/Oslo'``, ``'UTC'`` or ``'+01:00'``.

    Raises:
        ValueError: There is no such time zone.
    """
    if match := re.fullmatch(r'([+-])(\d{2}):?(\d{2})', name):
        sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        if int(minutes) < 60 and offset < timedelta(hours=24):
            return timezone(-offset if sign == '-' else offset)
    name = name[:_LONGEST]
    try:
        return timezone.utc if name.upper() in ('UTC', 'Z') else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'no time zone {name!r}: expected such as UTC, +01:00 or Europe/Oslo') from error


def in_zone(local: datetime, zone: tzinfo) -> datetime:
    """Return a local time with its time zone.

    Raises:
        ValueError: The clocks of the zone were put forward over this time.
    """
    time = local.replace(tzinfo=zone)
    if time.astimezone(timezone.utc).astimezone(zone).replace(tzinfo=None) != local:
        raise ValueError(
            f'the time {local} does not exist in {zone}, whose clocks were put forward over it: is the camera on '
            "another time, such as timezone: 'UTC' or '+01:00'?"
        )
    return time


def in_order(time: datetime, after: datetime | None) -> datetime:
    """Return a time of the hour that comes twice, when clocks are put back, by the order of the pictures.

    Args:
        time: A time, the first of two if there are two.
        after: The time of the picture before; ``None`` if there is none.

    Returns:
        The second time, if the first lies before the picture before and the second does not; else the time itself.
    """
    second = time.replace(fold=1)
    if after is None or second.utcoffset() == time.utcoffset():
        return time
    first, before, last = (each.astimezone(timezone.utc) for each in (time, after, second))
    return second if first < before <= last else time
