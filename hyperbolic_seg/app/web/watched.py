"""REST interface of a folder that ``hyperbolic-seg watch`` writes to; it is only read."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException
from fastapi import Path as PathParameter

from hyperbolic_seg.app.watching import name_of
from hyperbolic_seg.app.web import schemas
from hyperbolic_seg.app.web.journal_days import JournalDays, NotRead
from hyperbolic_seg.app.web.limits import Gate

OLD_AFTER = 15 * 60.0
"""Age in seconds from which the latest image is old."""
AHEAD = timedelta(minutes=2)
"""How far the clock of a camera may be ahead of that of the server."""

_HIDDEN = ('image', 'files', 'picture', 'version', 'place', 'model')  # paths and places are nobody's business
_READERS = 8
Day = Annotated[str, PathParameter(pattern=r'^\d{4}-\d{2}-\d{2}$', description='Such as 2024-06-21')]


def add_watched(app: FastAPI, journal: JournalDays) -> None:
    """Add the paths of a watched folder to an application."""
    reading = Gate(_READERS)

    def read(reader: Callable[..., Any], *arguments: Any) -> Any:
        with reading.enter():
            try:
                journal.refresh()
                return reader(journal, *arguments)
            except NotRead as error:
                raise HTTPException(503, str(error), headers={'Retry-After': '1'}) from error
            except OSError as error:  # whose message has paths of the server
                raise HTTPException(503, 'the watched folder cannot be read', headers={'Retry-After': '30'}) from error

    @app.get(
        '/api/watched',
        summary='The latest image of the watched folder',
        response_model_exclude_unset=True,
        responses=schemas.problems(422),
    )
    def latest() -> schemas.WatchedNow:
        return schemas.WatchedNow(**read(latest_of, datetime.now(timezone.utc)))

    @app.get(
        '/api/watched/days/{day}',
        summary='The images of a day of the watched folder',
        responses=schemas.problems(404, 422),
    )
    def day(day: Day) -> schemas.WatchedDay:
        return schemas.WatchedDay(**read(day_of, day))


def latest_of(journal: JournalDays, now: datetime) -> dict[str, Any]:
    """Return the image with the latest time that is not in the future; without any time, that of the last line.

    Args:
        journal: The journal, refreshed.
        now: The time of now, with a time zone.
    """
    days, last, ahead = journal.days, journal.last, 0
    moment: datetime | None = None
    record: dict[str, Any] | None = None
    source: str | None = 'time'
    for day in reversed(days):
        if day > (now + timedelta(days=1)).date().isoformat():
            ahead += journal.count(day)
            continue
        for time, one in journal.records(day):
            ahead += time > now + AHEAD
            if time <= now + AHEAD and (moment is None or time >= moment):
                moment, record = time, one
        if record is not None:
            break
    error = None if last is None else last.get('error')
    if last is not None and error is None and not days:
        record, moment = last, _changed(last)
        source = None if moment is None else 'file'
    return dict(
        latest=None if record is None else _without_paths(record),
        age_seconds=None if moment is None else (now - moment).total_seconds(),
        age_from=None if record is None else source,
        old_after_seconds=OLD_AFTER,
        ahead=ahead,
        error=None if last is None or error is None else _without_path(str(error), last)[:300],
        days=len(days),
        last_day=days[-1] if days else None,
    )


def day_of(journal: JournalDays, day: str) -> dict[str, Any]:
    """Return the images of a day; of several in a minute the last one.

    Raises:
        HTTPException: The day has none, status 404.
    """
    days = journal.days
    if day not in days:
        raise HTTPException(404, 'no image has a time of this day')
    # A camera may write all its images under one name: only one of the same time replaces another.
    each = {(_name_of(record), time): (time, _point(record)) for time, record in journal.records(day)}
    ordered = sorted(each.values(), key=lambda one: one[0])
    points: dict[int, dict[str, Any]] = {}
    for time, point in ordered:
        begin = ordered[0][0].replace(hour=0, minute=0, second=0, microsecond=0)
        seconds = (time - begin).total_seconds()  # of the elapsed time, where clocks were changed
        points[int(seconds // 60)] = point | dict(hour=seconds / 3600)
    place = days.index(day)
    return dict(
        day=day,
        previous=days[place - 1] if place else None,
        next=days[place + 1] if place + 1 < len(days) else None,
        images=len(ordered),
        points=list(points.values()),
    )


def _name_of(record: dict[str, Any]) -> str:
    """Return the name of the image of a record, empty for a damaged one that has none."""
    return name_of(record) if record.keys() & {'name', 'picture'} else ''


def _point(record: dict[str, Any]) -> dict[str, Any]:
    about = {key: record.get(key) for key in ('time', 'quality', 'cloud')}
    return about | dict(quality_reasons=record.get('quality_reasons') or [])


def _changed(record: dict[str, Any]) -> datetime | None:
    """Return when the file of an image was changed; ``None`` for a record that does not tell."""
    try:
        return datetime.fromtimestamp(record['version'][1] / 1e9, timezone.utc)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, OSError):
        return None


def _without_path(error: str, record: dict[str, Any]) -> str:
    """Return an error that calls the image by its name below the watched folder."""
    return error.replace(str(record.get('image') or '\0'), _name_of(record))


def _without_paths(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in _HIDDEN} | dict(name=_name_of(record))
