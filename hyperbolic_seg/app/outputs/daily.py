"""Time series of each day of a watched folder, made from the journal."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from hyperbolic_seg.app.outputs.day_files import DayFiles, day_of
from hyperbolic_seg.app.watching import Journal, name_of
from hyperbolic_seg.files import own_path, write_whole
from hyperbolic_seg.sky.camera import Columns, SkyCamera, check_keogram

_LIBRARIES = ('xarray', 'netCDF4', 'matplotlib.figure', 'matplotlib.dates', 'pvlib')

EVERY = 600.0
"""Seconds between two writings of the files that cannot grow by a line."""


@dataclass
class _Lines:
    """Lines of a day in the journal: the bytes from the first to the last one, and their number."""

    begin: int
    end: int = 0
    count: int = 0


class DailySeries:
    """Writes the series of each day in UTC to ``OUT/series``: see ``docs/sky_camera.md`` for the files.

    The table gets a row after each image. NetCDF, the plot and the keogram are written again by a thread, every ten
    minutes if there is something new, and at the end. All of it is made from the journal: what a killed process has not
    written is written at the next start, and nothing twice. In memory are the numbers of lines of each day.

    Args:
        journal: The journal that the lines are in already when they are added.
        camera: The camera.
        palette: RGB colors by class, for the keogram.
        every: Seconds between two writings of a file as a whole.

    Raises:
        OSError: The journal cannot be read, or the folder is a link.
    """

    def __init__(
        self, journal: Journal, camera: SkyCamera, *, palette: Mapping[str, Sequence[int]], every: float = EVERY
    ) -> None:
        self._journal = journal
        self._out_dir = journal.path.parent
        self._camera = camera
        self._palette = palette
        self._every = every
        self.note: str | None = None
        """Message about a file that cannot be written for this camera; ``None`` if all can."""
        try:
            check_keogram(camera)
        except ValueError as error:
            self.note = f'no keogram is drawn: {error}'
        self._days: dict[str, _Lines] = {}
        self._tables: dict[str, Columns] = {}  # of the tables that this process has written
        self._caught_up: set[str] = set()
        self._end = 0  # of the journal, in bytes
        for day, begin, self._end in _index(journal.path):
            self._count(day, begin, self._end)
        self._written = self._read_state()
        self._dirty = {day for day, lines in self._days.items() if self._written.get(day) != lines.count}
        self._error: Exception | None = None
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._write_now_and_then, daemon=True)
        self._thread.start()

    def add(self, line: dict[str, Any]) -> None:
        """Add an image to the series of its day.

        Raises:
            OSError: A file cannot be written.
            ValueError: The keogram cannot be drawn from the labels, or NetCDF cannot hold the series.
            RuntimeError: A library cannot write a file.
        """
        if 'version' not in line:  # not in the journal
            return
        begin, self._end = self._end, self._journal.path.stat().st_size
        if (day := day_of(line)) is not None:
            with self._lock:
                self._count(day, begin, self._end)
                self._dirty.add(day)
                self._add_row(day, line)
                if self.note is None:
                    self._files(day).append_column(line)
        self._raise()

    def close(self) -> None:
        """Write what is not written yet, the latest day first.

        Raises:
            OSError, ValueError, RuntimeError: See :meth:`add`.
        """
        self._stop.set()
        self._thread.join()
        self._write_all()
        self._raise()

    def _raise(self) -> None:
        """Raise what has failed in the thread, once."""
        error, self._error = self._error, None
        if error is not None:
            known = isinstance(error, (OSError, ValueError, RuntimeError))
            raise error if known else RuntimeError(f'{type(error).__name__}: {error}')

    def _files(self, day: str) -> DayFiles:
        return DayFiles(self._out_dir, day, self._camera, palette=self._palette)

    def _count(self, day: str | None, begin: int, end: int) -> None:
        if day is not None:
            lines = self._days.setdefault(day, _Lines(begin))
            lines.end, lines.count = end, lines.count + 1

    def _add_row(self, day: str, line: dict[str, Any]) -> None:
        """Add a row, or write the whole table where this process does not know it, or it lacks a column."""
        columns = self._tables.pop(day, None)  # a row that fails leaves a table to be written as a whole
        if columns is None or not columns.hold(line):
            self._tables[day] = self._files(day).write_table(self._records(day)).columns
        else:
            self._files(day).append_row(line, columns)
            self._tables[day] = columns

    def _records(self, day: str) -> list[dict[str, Any]]:
        lines = self._days[day]
        read = _read(self._journal.path, lines.begin, lines.end)
        return [record for record, _, _ in read if day_of(record) == day]

    def _write_now_and_then(self) -> None:
        for name in _LIBRARIES:  # now, so that after a signal the files take less than the seconds that are left
            import_module(name)
        self._write_all(self._stop)
        while not self._stop.wait(self._every):
            self._write_all(self._stop)

    def _write_all(self, stop: threading.Event | None = None) -> None:
        """Write the files of each day that has something new, the latest first, until an event is set."""
        with self._lock:
            days = sorted(self._dirty, reverse=True)
        for day in days:
            if stop is not None and stop.is_set():
                return
            try:
                self._write(day)
            except Exception as error:  # whatever a library raises, the thread goes on, and `add` says it
                self._error = self._error or error

    def _write(self, day: str) -> None:
        """Write the files of a day.

        Raises:
            OSError: A file cannot be written; the day is tried again.
            ValueError, RuntimeError, ImportError: A file cannot hold the series; the others are written.
        """
        files = self._files(day)
        with self._lock:  # a row that is added now would be lost
            count, records = self._days[day].count, self._records(day)
            series = files.write_table(records)
            self._tables[day] = series.columns
            self._dirty.discard(day)
        self._catch_up(files, records)
        try:
            files.write_summaries(series)
        except OSError:
            with self._lock:
                self._dirty.add(day)
            raise
        except ValueError:  # two images of one time stay, and another start would fail as this one
            self._remember(day, count)
            raise
        self._remember(day, count)

    def _remember(self, day: str, count: int) -> None:
        """Keep how many lines of a day its files hold."""
        self._written[day] = count
        write_whole(self._state_path(), json.dumps(self._written).encode())

    def _catch_up(self, files: DayFiles, records: list[dict[str, Any]]) -> None:
        """Add the columns that a killed process has not, of images whose labels no later image has replaced."""
        if self.note is not None or files.day in self._caught_up:
            return
        have = {(column['name'], *column['version']) for column in files.columns()}
        for record in records:
            name, version = name_of(record), record['version']
            if (name, *version) in have or (name, version) not in self._journal:
                continue
            try:
                with self._lock:
                    files.append_column(record)
            except FileNotFoundError:  # somebody has removed the labels
                continue
            except (OSError, ValueError) as error:
                self._error = self._error or error
        self._caught_up.add(files.day)

    def _state_path(self) -> Path:
        path = own_path(self._out_dir, 'series', '.days.json')
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _read_state(self) -> dict[str, int]:
        """Return the number of lines of each day that its files hold; nothing if that is not known."""
        try:
            content = json.loads(self._state_path().read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def _index(journal: Path) -> Iterator[tuple[str | None, int, int]]:
    """Yield the day of each line of a journal, and the bytes from which to which it goes."""
    return ((day_of(record), begin, end) for record, begin, end in _read(journal, 0, journal.stat().st_size))


def _read(journal: Path, begin: int, end: int) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Yield the lines of a journal between two bytes, and the bytes from which to which each goes."""
    with journal.open('rb') as file:
        file.seek(begin)
        while begin < end:
            line = file.readline()
            yield json.loads(line), begin, begin + len(line)
            begin += len(line)
