"""REST interface of a folder that ``hyperbolic-seg watch`` writes to; it is only read."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException
from fastapi import Path as PathParameter

from hyperbolic_seg.app.web import schemas
from hyperbolic_seg.app.web.journal_days import JournalDays, NotRead, time_of
from hyperbolic_seg.app.web.limits import RETRY_AFTER, Gate

OLD_AFTER = 15 * 60.0
"""Age in seconds from which the latest image is old."""
AHEAD = timedelta(minutes=2)
"""How far the clock of a camera may be ahead of that of the server."""

_HIDDEN = ('image', 'files', 'version')  # paths of the server, and what the journal is for
_READERS = 8
Day = Annotated[str, PathParameter(pattern=r'^\d{4}-\d{2}-\d{2}$', description='Such as 2024-06-21')]


def add_watched(app: FastAPI, folder: str | Path) -> None:
    """Add the paths of a watched folder to an application.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    journal, reading = JournalDays(folder), Gate(_READERS)

    def read(reader: Callable[..., Any], *arguments: Any) -> Any:
        with reading.enter():
            try:
                journal.refresh()
                return reader(journal, *arguments)
            except NotRead as error:
                raise HTTPException(503, str(error), headers={'Retry-After': RETRY_AFTER}) from error
            except OSError as error:  # whose message has paths of the server
                raise HTTPException(503, 'the watched folder cannot be read', headers={'Retry-After': '30'}) from error

    @app.get(
        '/api/watched',
        summary='The latest image of the watched folder',
        response_model_exclude_unset=True,
        responses=schemas.problems(),
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
    days, last, record, ahead = journal.days, journal.last, None, 0
    for day in reversed(days):
        if day > (now + timedelta(days=1)).date().isoformat():
            ahead += journal.count(day)
            continue
        records = journal.records(day)
        past = [one for one in records if (time_of(one) or now) <= now + AHEAD]
        ahead += len(records) - len(past)
        if past:
            record = past[-1]
            break
    error = None if last is None else last.get('error')
    if record is None and last is not None and error is None and not days:
        record = last
    moment, source = (None, None) if record is None else _moment(record)
    return dict(
        latest=None if record is None else _without_paths(record),
        age_seconds=None if moment is None else (now - moment).total_seconds(),
        age_from=source,
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
    records = journal.records(day)
    begin = None
    points: dict[int, dict[str, Any]] = {}
    for record in records:
        moment = time_of(record)
        if moment is None:
            continue
        begin = begin or moment.replace(hour=0, minute=0, second=0, microsecond=0)
        hour = (moment - begin).total_seconds() / 3600  # of the elapsed time, where clocks were changed
        points[math.floor(hour * 60)] = dict(
            time=record['time'],
            hour=hour,
            quality=record.get('quality'),
            quality_reasons=record.get('quality_reasons') or [],
            cloud=record.get('cloud'),
        )
    place = days.index(day)
    return dict(
        day=day,
        previous=days[place - 1] if place else None,
        next=days[place + 1] if place + 1 < len(days) else None,
        images=len(records),
        points=list(points.values()),
    )


def _moment(record: dict[str, Any]) -> tuple[datetime | None, str | None]:
    """Return the time of a record and what it is from: the image, or the last change of its file."""
    if (moment := time_of(record)) is not None:
        return moment, 'time'
    try:
        return datetime.fromtimestamp(record['version'][1] / 1e9, timezone.utc), 'file'
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, OSError):
        return None, None


def _without_path(error: str, record: dict[str, Any]) -> str:
    """Return an error that calls the image by its name below the watched folder."""
    return error.replace(str(record.get('image') or '\0'), str(record.get('name', '')))


def _without_paths(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in _HIDDEN} | dict(name=str(record.get('name', '')))
