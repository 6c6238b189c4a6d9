"""Whether the sky is safe for open instruments: a rule with hysteresis, which says unsafe whenever it does not know."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from hyperbolic_seg.options import check_number
from hyperbolic_seg.sky.camera.evidence import DOUBTS, Evidence, Moment

MEASURES = ('high', 'fraction')
"""What a rule may compare: the upper end of the interval of the cloud cover, or its expected value."""

_DAY = 24 * 60


class Safety(NamedTuple):
    """Whether it is safe to keep instruments open, and why."""

    unsafe: bool
    reason: str
    since: datetime
    """When it began to be unsafe, or safe."""


@dataclass(frozen=True)
class SafetyRule:
    """When the sky is unsafe, and when it is safe again.

    It is unsafe when the cloud cover was above a limit for some minutes, at once when a picture is doubtful or refused,
    and whenever nothing is known. It is safe again when the cover was at or below a lower limit, without interruption,
    for some more minutes.

    Args:
        cloud_above: Cover in eighths of the sky, not rounded to oktas, above which it counts as cloudy: 0 to 8.
        for_minutes: Minutes that it may be cloudy before it is unsafe, since the last picture that was not cloudy.
        cloud_below: Cover in eighths of the sky up to which it counts as clear; by default ``cloud_above``.
        safe_after_minutes: Minutes that it has to be clear without interruption before it is safe.
        no_picture_minutes: Age of the last picture in minutes from which nothing is known any more.
        quality: Qualities of a picture that are unsafe, of :data:`~hyperbolic_seg.sky.camera.DOUBTS`; a refused picture
            always is.
        by: One of :data:`~hyperbolic_seg.sky.camera.MEASURES`: by ``'high'`` the cover is the upper end of its
            interval, which is careful; by ``'fraction'`` it is the cover itself.

    Raises:
        TypeError: A number is none.
        ValueError: A setting is out of range.
    """

    cloud_above: float
    for_minutes: float = 5.0
    cloud_below: float | None = None
    safe_after_minutes: float = 15.0
    no_picture_minutes: float = 5.0
    quality: tuple[str, ...] = DOUBTS
    by: str = 'high'

    def __post_init__(self) -> None:
        check_number('cloud_above', self.cloud_above, least=0)
        if self.cloud_above >= 8:
            raise ValueError(f'cloud_above={self.cloud_above}: no sky has more than 8 eighths, expected less')
        if self.cloud_below is not None:
            check_number('cloud_below', self.cloud_below, least=0, most=self.cloud_above)
        check_number('for_minutes', self.for_minutes, least=0, most=_DAY)
        for name in ('safe_after_minutes', 'no_picture_minutes'):
            check_number(name, getattr(self, name), above=0, most=_DAY)
        qualities = self.quality if isinstance(self.quality, tuple) else ()
        if 'refused' not in qualities or not all(one in DOUBTS for one in qualities):
            expected = 'expected [doubtful, refused], or [refused] to trust doubtful pictures'
            raise ValueError(f'quality={self.quality!r}: {expected}')
        if self.by not in MEASURES:
            raise ValueError(f'by={self.by!r}: expected one of {", ".join(MEASURES)}')

    @classmethod
    def of(cls, settings: Any) -> 'SafetyRule':
        """Return the rule of a mapping, as a camera file has it.

        Raises:
            ValueError: It is no mapping of these settings, or one of them is invalid.
        """
        known = [field.name for field in fields(cls)]
        if not isinstance(settings, Mapping) or 'cloud_above' not in settings:
            raise ValueError(
                f'unsafe: expected settings such as "cloud_above: 4", in oktas; there are {", ".join(known)}'
            )
        if unknown := sorted(map(str, settings.keys() - set(known))):
            raise ValueError(f'unsafe: no such settings: {", ".join(unknown)[:200]}. There are {", ".join(known)}')
        chosen = dict(settings)
        if isinstance(chosen.get('quality'), list):
            chosen['quality'] = tuple(chosen['quality'])
        try:
            return cls(**chosen)
        except (TypeError, ValueError) as error:
            raise ValueError(f'unsafe: {str(error)[:300]}') from error


class SafetyJudge:
    """Judges the sky by a rule, from pictures in the order of their arrival.

    Every line either is evidence, or makes it unsafe at once: an error, a picture that is refused, old or from the
    future. Asking changes nothing. One thread at a time may use it.

    Args:
        rule: The rule.
        start: When it begins, unsafe.
    """

    def __init__(self, rule: SafetyRule, start: Moment) -> None:
        self.rule = rule
        self._state = Safety(True, 'no picture has come yet', start.wall)
        self._newest: Evidence | None = None  # also across what interrupts the others
        self._last: Evidence | None = None
        self._not_cloudy: Evidence | None = None  # the last one up to cloud_above
        self._first_clear: Evidence | None = None  # that since which all are clear

    def add(self, line: Mapping[str, Any], now: Moment) -> None:
        """Take a line of :func:`~hyperbolic_seg.app.watching.watch`; one with ``skipped`` is of no picture.

        Args:
            line: A record with an observation, or a line with an ``error``.
            now: When it arrived.
        """
        if 'skipped' in line:
            return
        self._settle(now)
        rule = self.rule
        try:
            evidence = Evidence.of(line, now, minutes=rule.no_picture_minutes, quality=rule.quality)
        except ValueError as error:
            self._interrupt()
            self._turn(True, str(error), now)
            return
        self._see(evidence)
        first = self._first_clear
        if first is not None and evidence.since(first) >= timedelta(minutes=rule.safe_after_minutes):
            self._turn(False, f'cloud cover up to {self._limit:g} oktas for {rule.safe_after_minutes:g} minutes', now)
        elif self._state.unsafe:
            self._turn(True, self._waiting(), now)

    def state(self, now: Moment) -> Safety:
        """Return whether it is safe at a time, which must not be before the last line."""
        last, rule = self._last, self.rule
        if last is None:
            return self._state
        if not last.precedes(now):
            return self._unsafe('the clock of this machine was set back', now.wall)
        silence = timedelta(minutes=rule.no_picture_minutes)
        if last.age(now) >= silence:
            return self._unsafe(f'no picture for {rule.no_picture_minutes:g} minutes', last.taken + silence)
        cloudy, before = timedelta(minutes=rule.for_minutes), self._not_cloudy
        # The cloud may have come right after the last picture without it.
        if before is not None and before is not last and before.age(now) >= cloudy:
            reason = f'cloud cover above {rule.cloud_above:g} oktas for {rule.for_minutes:g} minutes'
            return self._unsafe(reason, before.taken + cloudy)
        return self._state

    def until(self) -> datetime | None:
        """Return when it is unsafe at the latest if no more pictures come; ``None`` if none counts."""
        if self._last is None:
            return None
        silent = self._last.taken + timedelta(minutes=self.rule.no_picture_minutes)
        if self._not_cloudy is None or self._not_cloudy is self._last:
            return silent
        return min(silent, self._not_cloudy.taken + timedelta(minutes=self.rule.for_minutes))

    def _settle(self, now: Moment) -> None:
        """Make the state that time has led to the last one; after silence nothing earlier counts."""
        self._state, last = self.state(now), self._last
        silence = timedelta(minutes=self.rule.no_picture_minutes)
        if last is not None and not (last.precedes(now) and last.age(now) < silence):
            self._interrupt()
        if self._newest is not None and not self._newest.precedes(now):
            self._newest = None

    def _interrupt(self) -> None:
        self._last = self._not_cloudy = self._first_clear = None

    def _see(self, evidence: Evidence) -> None:
        """Let a picture count; one that was taken before another ends what it contradicts, and adds nothing."""
        newer = self._newest is None or evidence.taken > self._newest.taken
        cover = 8 * (evidence.high if self.rule.by == 'high' else evidence.fraction)
        if cover > self._limit:
            self._first_clear = None
        elif self._first_clear is None and newer:
            self._first_clear = evidence
        if newer:
            self._newest = self._last = evidence
            if cover <= self.rule.cloud_above:
                self._not_cloudy = evidence

    def _turn(self, unsafe: bool, reason: str, now: Moment) -> None:
        since = self._state.since if unsafe == self._state.unsafe else now.wall
        self._state = Safety(unsafe, reason, since)

    def _unsafe(self, reason: str, begin: datetime) -> Safety:
        since = self._state.since if self._state.unsafe else max(begin, self._state.since)
        return Safety(True, reason, since)

    @property
    def _limit(self) -> float:
        return self.rule.cloud_above if self.rule.cloud_below is None else self.rule.cloud_below

    def _waiting(self) -> str:
        if self._first_clear is None:
            return f'cloud cover above {self._limit:g} oktas'
        since = self._first_clear.taken.astimezone(timezone.utc)
        return f'clear since {since:%H:%M:%S} UTC, not yet for {self.rule.safe_after_minutes:g} minutes'
