"""Days of the journal of a watched folder: an index of where each day stands, within limits of time and memory."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from hyperbolic_seg.files import open_regular, own_path

JOURNAL = 'journal.jsonl'

_LONGEST = 2**20  # bytes of a line; one with 64 prompts has 20 kB
_GAP = 2**16  # bytes between two ranges of a day that are read as one
_RANGES = 64  # of a day; more grow together

Range = list[int]
"""Begin and end of a part of the journal, in bytes."""


class NotRead(Exception):
    """The journal is not read to its end yet."""


class JournalDays:
    """Reads the records of a day from ``journal.jsonl``, which ``hyperbolic-seg watch`` appends to.

    Kept in memory are the places of each day, and the last line. A day is that of the time zone of the records. Lines
    that are damaged or incomplete are left out.

    Args:
        folder: Folder of the results. It may have no journal yet.
        seconds: Time to read what is new; what remains is read by the next calls.
        day_bytes: Limit of the size of a day.

    Raises:
        FileNotFoundError: There is no such folder.
    """

    def __init__(self, folder: str | Path, *, seconds: float = 1.0, day_bytes: int = 2**26) -> None:
        if not Path(folder).is_dir():
            raise FileNotFoundError(f'no folder {folder}: expected the --out of hyperbolic-seg watch')
        self._folder, self._seconds, self._day_bytes = Path(folder), seconds, day_bytes
        self._lock = Lock()
        self._forget()

    def _forget(self) -> None:
        self._read, self._file = 0, (0, 0)
        self._days: dict[str, list[Range]] = {}
        self._counts: Counter[str] = Counter()
        self._last: dict[str, Any] | None = None

    def refresh(self) -> None:
        """Read what is new.

        Raises:
            OSError: The journal cannot be read, or is a link.
            ValueError: It is no regular file.
            NotRead: More is to be read than the time allows; the message says how much is done.
        """
        with self._lock:
            path = own_path(self._folder, JOURNAL)
            if not path.exists():
                self._forget()
                return
            with open_regular(path) as journal:
                self._scan(journal)

    def _scan(self, journal: BinaryIO) -> None:
        until, state = time.monotonic() + self._seconds, os.fstat(journal.fileno())
        own = state.st_dev, state.st_ino
        if own != self._file or state.st_size < self._read:  # another file, or one that was cut
            self._forget()
            self._file = own
        journal.seek(self._read)
        for start, stop, line in _lines(journal, self._read):
            self._read = stop
            record = _parsed(line)
            if record is not None:
                self._last = record
                if (moment := time_of(record)) is not None:
                    self._add(moment.date().isoformat(), start, stop)
            if time.monotonic() > until:
                raise NotRead(f'the journal is being read, {100 * self._read // max(state.st_size, 1)} % are done')

    def _add(self, day: str, start: int, stop: int) -> None:
        ranges = self._days.setdefault(day, [])
        self._counts[day] += 1
        if ranges and (start - ranges[-1][1] <= _GAP or len(ranges) == _RANGES):
            ranges[-1][1] = stop
        else:
            ranges.append([start, stop])

    @property
    def last(self) -> dict[str, Any] | None:
        """The last line, if there is any."""
        return self._last

    @property
    def days(self) -> list[str]:
        """Days that have records, such as ``'2024-06-21'``, in their order."""
        return sorted(self._days)

    def count(self, day: str) -> int:
        """Return how many lines a day has."""
        return self._counts[day]

    def records(self, day: str) -> Iterator[tuple[datetime, dict[str, Any]]]:
        """Yield the records of a day with their times, in the order of the journal.

        Raises:
            OSError: The journal cannot be read.
            ValueError: The day is too large.
        """
        with self._lock:
            ranges = [tuple(each) for each in self._days.get(day, ())]
        if (size := sum(stop - start for start, stop in ranges)) > self._day_bytes:
            raise ValueError(f'the records of {day} take {size} bytes: expected at most {self._day_bytes}')
        if not ranges:
            return
        with open_regular(own_path(self._folder, JOURNAL)) as journal:
            for start, stop in ranges:
                journal.seek(start)
                for _, end, line in _lines(journal, start):
                    record = _parsed(line)
                    moment = None if record is None else time_of(record)
                    if record is not None and moment is not None and moment.date().isoformat() == day:
                        yield moment, record
                    if end >= stop:
                        break


def time_of(record: dict[str, Any]) -> datetime | None:
    """Return the time of a record; ``None`` if it has none with a time zone."""
    try:
        moment = datetime.fromisoformat(record['time'])
    except (KeyError, TypeError, ValueError):
        return None
    return None if moment.tzinfo is None else moment


def _lines(file: BinaryIO, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield begin, end and content of each complete line from a position on; of one that is too long no content."""
    begin, whole = start, True
    while piece := file.readline(_LONGEST):
        start += len(piece)
        if piece.endswith(b'\n'):
            yield begin, start, piece if whole else b''
            begin, whole = start, True
        else:
            whole = False


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
