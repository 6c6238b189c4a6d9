"""Results of an archive: read back, compared with the plan, and summarized."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timezone
from functools import partial
from typing import Any, NamedTuple

from hyperbolic_seg.app.archive.labels import LABELS, Day, days_of
from hyperbolic_seg.app.archive.plan import Partition
from hyperbolic_seg.app.archive.stores import names_in, put, remove_unfinished
from hyperbolic_seg.app.archive.tasks import MAPS, RECORDS
from hyperbolic_seg.files import printable, table_cell

SUCCESS = '_SUCCESS'
"""File that is there if every picture of the source has its row; it holds the summary as JSON."""
_READERS = 16  # files that are read at once when results are checked, for stores that answer late


class Failure(NamedTuple):
    """A partition that failed, and the reason; the next run tries it again."""

    what: str
    reason: str


class Summary(NamedTuple):
    """Counts of pictures, partitions and refusals after a run."""

    pictures: int
    """Pictures of the source."""
    done: int
    """Those that have a row now."""
    refused: int
    """Those whose row says why they were refused."""
    partitions: int
    predicted: int
    """Pictures that this run predicted; the others were done before."""
    seconds: float
    """Wall time of the prediction."""
    bytes: int
    """Bytes of the pictures that this run predicted."""
    days: int
    """Days with labels."""
    failures: list[Failure]

    @property
    def rate(self) -> float:
        """Pictures per second of this run."""
        return self.predicted / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        failures = [failure._asdict() for failure in self.failures]
        return self._asdict() | dict(rate=self.rate, failures=failures)


class Checked(NamedTuple):
    """What the file of a partition holds."""

    partition: Partition
    refusals: list[tuple[str, str]]
    days: list[date]


def finished(fs: Any, root: str, *, with_labels: bool) -> set[str]:
    """Return the addresses of the partitions whose files are there."""
    done = set(names_in(fs, f'{root}/{RECORDS}', '.parquet'))
    return done & set(names_in(fs, f'{root}/{MAPS}', '.parquet')) if with_labels else done


def check(fs: Any, root: str, plan: Sequence[Partition], *, with_labels: bool) -> list[Checked]:
    """Read back which pictures the files of partitions have.

    Raises:
        RuntimeError: A picture lacks, or is there twice.
        ValueError: A file is damaged.
    """
    fs.invalidate_cache()
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(partial(_check_one, fs, root, with_labels), plan))


def _check_one(fs: Any, root: str, with_labels: bool, each: Partition) -> Checked:
    rows = _read(fs, f'{root}/{RECORDS}/{each.address}.parquet', ['image', 'refusal'])
    if [row['image'] for row in rows] != [printable(picture.key) for picture in each.pictures]:
        raise RuntimeError(
            f'{root}/{RECORDS}/{each.address}.parquet has other pictures than planned: remove it, and start again'
        )
    refusals = [(row['image'], row['refusal']) for row in rows if row['refusal'] is not None]
    times = _read(fs, f'{root}/{MAPS}/{each.address}.parquet', ['time']) if with_labels else []
    return Checked(each, refusals, days_of([row['time'] for row in times]))


def _read(fs: Any, path: str, columns: list[str]) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, Any]] = pq.read_table(path, columns=columns, filesystem=fs).to_pylist()
    except pa.ArrowInvalid as error:
        raise ValueError(f'{printable(path)} is damaged: remove it, and start again ({error})') from error
    return rows


def days_in(checked: Sequence[Checked]) -> list[Day]:
    """Return the days that partitions have labels of."""
    found: dict[date, list[str]] = {}
    for each in checked:
        for day in each.days:
            found.setdefault(day, []).append(each.partition.address)
    return [Day(day, tuple(found[day])) for day in sorted(found)]


def conclude(fs: Any, root: str, summary: Summary, checked: Sequence[Checked]) -> None:
    """Write the tables and the summary; without a failure also remove what the source no longer has."""
    refusals = (pair for each in checked for pair in each.refusals)
    put(fs, f'{root}/refusals.csv', _table(['image', 'reason'], refusals))
    put(fs, f'{root}/manifest.csv', _table(['file', 'pictures', 'refused', 'first', 'last'], map(_line, checked)))
    remove_unfinished(fs, root)
    if summary.failures:
        return
    for folder in (RECORDS, MAPS):
        current = {each.partition.address for each in checked}
        for address, path in names_in(fs, f'{root}/{folder}', '.parquet').items():
            if address not in current:
                fs.rm_file(path)
    dates = {str(day.date) for day in days_in(checked)}
    if summary.days:
        for name, path in names_in(fs, f'{root}/{LABELS}', '.zarr').items():
            if name not in dates:
                fs.rm(path, recursive=True)
    about = summary.as_dict() | dict(finished=datetime.now(timezone.utc).isoformat(timespec='seconds'))
    put(fs, f'{root}/{SUCCESS}', json.dumps(about, indent=1).encode() + b'\n')


def _line(each: Checked) -> list[Any]:
    keys = [picture.key for picture in each.partition.pictures]
    return [f'{RECORDS}/{each.partition.address}.parquet', len(keys), len(each.refusals), keys[0], keys[-1]]


def _table(columns: list[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline='')
    table = csv.writer(text)
    table.writerow(columns)
    table.writerows([cell if isinstance(cell, int) else table_cell(cell, lead='./') for cell in row] for row in rows)
    return text.getvalue().encode('utf-8', 'surrogateescape')
