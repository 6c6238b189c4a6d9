"""Files of a day of observations: a table, NetCDF, a plot and a keogram."""

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hyperbolic_seg.app.watching import name_of
from hyperbolic_seg.files import open_own, own_path, read_regular, whole_file
from hyperbolic_seg.sky.camera import Columns, Series, SkyCamera, draw_keogram, meridian, plot_day, runs_of

_DPI = 110
_MOST_BYTES = 2**30  # of a file of labels


class DayFiles:
    """The files of a day in UTC, below ``OUT/series``. None is written through a link.

    Args:
        out_dir: Folder of the results.
        day: Date such as ``'2026-11-27'``.
        camera: The camera.
        palette: RGB colors by class, for the keogram.
    """

    def __init__(self, out_dir: Path, day: str, camera: SkyCamera, *, palette: Mapping[str, Sequence[int]]) -> None:
        self.day = day
        self.camera = camera
        self.palette = palette
        self._out_dir = out_dir

    def path(self, ending: str) -> Path:
        """Return the path of a file of the day, such as that of ``'.csv'``; its folder is made.

        Raises:
            OSError: The path leads through a link.
        """
        path = own_path(self._out_dir, 'series', f'{self.day}{ending}')
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_table(self, records: Sequence[dict[str, Any]]) -> Series:
        """Write the whole table, and what describes it; return the series.

        Raises:
            OSError: It cannot be written.
        """
        series = Series(records, camera=self.camera)
        self.path('.csv-metadata.json')
        series.write_csv(self.path('.csv'))
        return series

    def append_row(self, record: dict[str, Any], columns: Columns) -> None:
        """Add a row to a table that :meth:`write_table` has written.

        Args:
            record: The record.
            columns: Columns of the table.

        Raises:
            OSError: It cannot be written.
        """
        text = io.StringIO(newline='')
        csv.writer(text).writerow(columns.row(record))
        self._append('.csv', text.getvalue())

    def append_column(self, record: dict[str, Any]) -> None:
        """Add the labels along the meridian to the columns of the keogram, from the file of labels of a record.

        They are kept, because a camera may write its next image under the same name. A record without labels adds none.

        Raises:
            OSError: A file cannot be read or written.
            ValueError: The file holds no labels, or the camera file is for images of another shape.
        """
        if 'labels' not in record.get('files', {}):
            return
        file = record['files']['labels']
        content = np.frombuffer(read_regular(file, max_bytes=_MOST_BYTES), np.uint8)
        labels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if len(content) else None
        classes = list(record['fractions'])
        if labels is None or labels.ndim != 2 or labels.max() >= len(classes):
            raise ValueError(f'{file} holds no labels of {len(classes)} classes')
        runs = runs_of(meridian(labels, self.camera), classes)
        line = dict(time=record['time'], name=name_of(record), version=record['version'], south_to_north=runs)
        self._append('-meridian.jsonl', json.dumps(line) + '\n')

    def columns(self) -> list[dict[str, Any]]:
        """Return what :meth:`append_column` has added; a line that a killed process has left incomplete is left out."""
        path = self.path('-meridian.jsonl')
        found = []
        for line in path.read_bytes().splitlines() if path.exists() else ():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def write_summaries(self, series: Series) -> None:
        """Write NetCDF, the plot and the keogram; what fails keeps nothing from the others.

        Raises:
            OSError: A file cannot be written.
            ValueError: NetCDF cannot hold the series.
            ImportError: A library is not installed.
        """
        writers: list[Callable[[], None]] = [
            lambda: series.write_netcdf(self.path('.nc')),
            lambda: self._save('.png', plot_day(series, self.day)),
        ]
        if columns := {datetime.fromisoformat(each['time']): each['south_to_north'] for each in self.columns()}:
            writers.append(lambda: self._save('-keogram.png', draw_keogram(columns, self.day, self.palette)))
        failed: Exception | None = None
        for write in writers:
            try:
                write()
            except (OSError, ValueError, RuntimeError, ImportError) as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _save(self, ending: str, figure: Any) -> None:
        with whole_file(self.path(ending)) as part:
            figure.savefig(part, dpi=_DPI)

    def _append(self, ending: str, text: str) -> None:
        """Add a line; one that a killed process has left incomplete is ended first."""
        with os.fdopen(open_own(self.path(ending), append=True), 'r+b', buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            if size and file.read(1) != b'\n':
                file.write(b'\n')
            content = text.encode()
            if file.write(content) < len(content):
                raise OSError(f'{self.path(ending)} takes no more: the disk is full, or the file too large')


def day_of(record: dict[str, Any]) -> str | None:
    """Return the date of a record in UTC, ``None`` without a time."""
    if not record.get('time'):
        return None
    return datetime.fromisoformat(record['time']).astimezone(timezone.utc).date().isoformat()
