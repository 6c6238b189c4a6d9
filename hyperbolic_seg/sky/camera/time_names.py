"""Times in the names of files and folders."""

import re
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path

from hyperbolic_seg.sky.camera.zones import in_zone, zone_of

_MONTHS = ('jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec')
_CODES = {
    'Y': r'\d{4}',
    'y': r'\d{2}',
    'm': r'\d{2}',
    'b': '|'.join(_MONTHS),
    'd': r'\d{2}',
    'j': r'\d{3}',
    'H': r'\d{2}',
    'M': r'\d{2}',
    'S': r'\d{2}',
    'f': r'\d{1,9}',
    'z': r'[+-]\d{2}[:-]?\d{2}|Z',
    's': r'\d{19}|\d{16}|\d{13}|\d{10}',
}
"""Regular expressions of the codes of :meth:`datetime.datetime.strptime` that a pattern may have."""


class TimePattern:
    """A pattern of times in file names, such as ``'%Y%m%d_%H%M%S'``.

    Codes are those of :meth:`datetime.datetime.strptime`: %Y, %y, %m, %b (Jan to Dec), %d, %j, %H, %M, %S, %f (up to
    nine digits of a second), %z, also with a hyphen for its colon; and %s, a Unix time in seconds, milliseconds,
    microseconds or nanoseconds, of 10 to 19 digits. A slash separates folders, so ``'%Y/%m/%d/%H%M%S'`` reads the last
    three folders too. A number in a pattern does not match a part of a longer one, and a year before 1970 or after the
    next year is no time.

    Args:
        pattern: The pattern.

    Raises:
        ValueError: The pattern has another code, has one twice, or defines no day.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        parts = re.split(r'%(.)', pattern)
        self.codes = parts[1::2]
        if unknown := sorted(set(self.codes) - _CODES.keys()):
            known = ', %'.join(_CODES)
            raise ValueError(f'the pattern {pattern!r} has %{", %".join(unknown)}: expected %{known}')
        if len(set(self.codes)) < len(self.codes):
            raise ValueError(f'the pattern {pattern!r} has a code twice: expected each once')
        given = set(self.codes)
        day = {'Y', 'y'} & given and ({'m', 'd'} <= given or {'b', 'd'} <= given or 'j' in given)
        if not (day or given == {'s'}):
            raise ValueError(
                f'the pattern {pattern!r} names no day: expected year, month and day, such as %Y%m%d_%H%M%S, or %s '
                'alone'
            )
        pieces = (re.escape(part) if number % 2 == 0 else f'({_CODES[part]})' for number, part in enumerate(parts))
        before, after = ('' if parts[0] else r'(?<!\d)'), ('' if parts[-1] else r'(?!\d)')
        self._found = re.compile(f'(?={before}{"".join(pieces)}{after})', re.IGNORECASE | re.ASCII)

    def time(self, file: str | Path, zone: tzinfo) -> datetime | None:
        """Return the time in the name of a file, ``None`` if there is none.

        Args:
            file: File such as ``'cam2_20240717_113000.jpg'``.
            zone: Time zone of a time without %z or %s.

        Raises:
            ValueError: The clocks of the zone were put forward over the time.
        """
        path = Path(file)
        depth = self.pattern.count('/')
        folders = path.parent.parts[-depth:] if depth else ()
        for found in self._found.finditer('/'.join((*folders, path.stem))):
            values = dict(zip(self.codes, found.groups(), strict=True))
            try:
                local = _from_epoch(values['s']) if 's' in values else _from_calendar(values)
                own = timezone.utc if 's' in values else _offset(values['z']) if 'z' in values else None
            except ValueError:  # such as month 13: try the next match
                continue
            if 1970 <= local.year <= datetime.now(timezone.utc).year + 1:
                return in_zone(local, own or zone)
        return None


def _offset(text: str) -> tzinfo:
    """Return the zone of an offset; its colon may be a hyphen, as Windows allows no colon in names."""
    return zone_of(text[:3].upper() + text[3:].replace('-', ':'))


def _from_epoch(digits: str) -> datetime:
    """Return a Unix time in UTC, to the microsecond."""
    microseconds = int(digits[:16].ljust(16, '0'))
    return datetime(1970, 1, 1) + timedelta(microseconds=microseconds)


def _from_calendar(values: dict[str, str]) -> datetime:
    """Return the local time of numbers by code.

    Raises:
        ValueError: There is no such time.
    """
    numbers = {code: int(value) for code, value in values.items() if code not in 'bfz'}
    year = numbers['Y'] if 'Y' in numbers else numbers['y'] + (2000 if numbers['y'] < 69 else 1900)  # as strptime
    month = _MONTHS.index(values['b'].lower()) + 1 if 'b' in values else numbers.get('m', 1)
    day = datetime(year, month, numbers.get('d', 1))
    if 'j' in numbers:
        day = datetime(year, 1, 1) + timedelta(days=numbers['j'] - 1)
        if day.year != year or ('m' in numbers and day.month != month) or ('d' in numbers and day.day != numbers['d']):
            raise ValueError(f'no day {numbers["j"]} of {year}')
    micro = int(values['f'].ljust(6, '0')[:6]) if 'f' in values else 0
    hour, minute, second = (numbers.get(code, 0) for code in 'HMS')
    return day.replace(hour=hour, minute=minute, second=second, microsecond=micro)
