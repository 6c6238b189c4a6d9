"""What a picture tells of the clouds at present, if anything."""

import math
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from hyperbolic_seg.sky.camera.quality import QUALITIES

DOUBTS = QUALITIES[1:]
"""Qualities of a picture that may be taken for no evidence."""

_AHEAD = timedelta(minutes=1)  # what the clock of a camera may be ahead of that of this machine
_ROUNDING = 1e-6  # error of a mean of shares, which may leave the range from 0 to 1


class Moment(NamedTuple):
    """A time on both clocks of a machine: one that people set, and one that only runs."""

    wall: datetime
    """Time with a time zone."""
    monotonic: float
    """Seconds of :func:`time.monotonic`."""

    @classmethod
    def now(cls) -> 'Moment':
        """Return the current time."""
        return cls(datetime.now(timezone.utc), time.monotonic())


class Evidence(NamedTuple):
    """What a picture tells of the clouds, and when."""

    taken: datetime
    arrived: Moment
    fraction: float
    """Expected cover, 0 to 1."""
    high: float
    """Upper end of the interval of the cover, 0 to 1."""

    @classmethod
    def of(
        cls, line: Mapping[str, Any], now: Moment, *, minutes: float, quality: tuple[str, ...] = DOUBTS
    ) -> 'Evidence':
        """Return the evidence of a line of :func:`~hyperbolic_seg.app.watching.watch`.

        A picture without a time was taken when its file was changed, or else when it arrived.

        Args:
            line: A record with an observation, or a line with an ``error``.
            now: When the line arrived.
            minutes: Age in minutes from which a picture tells nothing about the present.
            quality: Qualities that are no evidence.

        Raises:
            ValueError: The line is no evidence; the message is the reason.
        """
        if 'error' in line:
            raise ValueError('a picture could not be read or predicted')
        found = line.get('quality')
        if found not in QUALITIES or found in quality:
            reasons = ', '.join(map(str, line.get('quality_reasons') or ()))
            raise ValueError(f'the picture is {found}: {reasons}' if found else 'the quality of the picture is unknown')
        if line.get('cloud') is None:
            raise ValueError('the picture has no cloud cover: is "clear sky" among the prompts?')
        try:
            fraction, high = (float(line['cloud'][end]) for end in ('fraction', 'high'))
            taken = _taken(line, now)
        except (KeyError, TypeError, OverflowError, OSError) as error:
            raise ValueError(f'the record of the picture is damaged: {error!r}') from error
        if not -_ROUNDING <= fraction <= high + _ROUNDING <= 1 + 2 * _ROUNDING:
            raise ValueError(f'no cloud cover: {fraction}, at most {high}')
        if taken - now.wall > _AHEAD:
            raise ValueError(
                f'the picture is from the future by {_span(taken - now.wall)}: set the clock of the camera'
            )
        evidence = cls(min(taken, now.wall), now, fraction, high)
        if evidence.age(now) >= timedelta(minutes=minutes):
            raise ValueError(f'the picture is {_span(evidence.age(now))} old')
        return evidence

    def age(self, now: Moment) -> timedelta:
        """Return the age of the picture by the clock that gives the larger one."""
        running = timedelta(seconds=now.monotonic - self.arrived.monotonic)
        return max(now.wall - self.taken, running + (self.arrived.wall - self.taken))

    def precedes(self, now: Moment) -> bool:
        """Return whether the clock that people set was not set back since the picture arrived."""
        running = timedelta(seconds=now.monotonic - self.arrived.monotonic)
        return now.wall - self.arrived.wall >= running - _AHEAD

    def since(self, first: 'Evidence') -> timedelta:
        """Return the time since an earlier picture by the clock that gives the smaller one."""
        return min(self.taken - first.taken, timedelta(seconds=self.arrived.monotonic - first.arrived.monotonic))


def _taken(line: Mapping[str, Any], now: Moment) -> datetime:
    """Return when a picture was taken.

    Raises:
        ValueError: The time has no time zone, or is none.
    """
    if line.get('time') is not None:
        taken = datetime.fromisoformat(line['time'])
        if taken.tzinfo is None:
            raise ValueError(f'the time {taken} of the picture has no time zone')
        return taken
    # Of a picture that waited while nothing watched, the time of its file tells its age.
    return datetime.fromtimestamp(line['version'][1] / 1e9, timezone.utc) if 'version' in line else now.wall


def _span(time: timedelta) -> str:
    """Return a span of time for people."""
    minutes = math.ceil(time / timedelta(minutes=1))
    return f'{minutes} minutes' if minutes < 120 else f'{minutes // 60} hours'
