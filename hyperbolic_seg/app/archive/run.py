"""A run over an archive: list, plan, submit to Dask, check and summarize."""

import csv
import io
import json
import time
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from hyperbolic_seg.app.archive.labels import LABELS, Day, days_of, write_day
from hyperbolic_seg.app.archive.plan import Partition, partitions
from hyperbolic_seg.app.archive.recipe import Recipe, keep
from hyperbolic_seg.app.archive.sources import file_system, list_pictures
from hyperbolic_seg.app.archive.stores import names_in, put, remove_unfinished
from hyperbolic_seg.app.archive.tasks import MAPS, RECORDS, Done, process
from hyperbolic_seg.app.selection import Selection
from hyperbolic_seg.files import printable, reason_of, table_cell
from hyperbolic_seg.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Future

SUCCESS = '_SUCCESS'
"""File that is there if every picture of the source has its row; it holds the summary as JSON."""
_RETRIES = 2
_MAX_FAILURES = 10
"""Limit of failed partitions. More mean that a share, a bucket or the workers fail: a later run is better."""
_READERS = 16  # files that are read at once when results are checked, for stores that answer late


class Failure(NamedTuple):
    """What was not done, and why; the next run tries it again."""

    what: str
    reason: str


class Summary(NamedTuple):
    """What a run has done."""

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


class Progress(NamedTuple):
    """State of a run, after each partition."""

    pictures: int
    """Those that are done."""
    total: int
    workers: int
    rate: float
    """Pictures per second of this run."""


class _Checked(NamedTuple):
    """What the file of a partition holds."""

    partition: Partition
    refusals: list[tuple[str, str]]
    days: list[date]


def archive(
    source: str,
    destination: str,
    recipe: Recipe,
    client: 'Client',
    *,
    selection: Selection | None = None,
    size: int = 256,
    with_labels: bool = False,
    on_note: Callable[[str], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Predict every picture of a source once, on the workers of a Dask cluster.

    A partition is done when its file is there. So a run that was ended goes on where it was, the death of a worker
    repeats the partition it was at, and two runs at once write the same bytes.

    Args:
        source: See :func:`~hyperbolic_seg.app.archive.list_pictures`; every worker sees it at this address.
        destination: Folder or address of the results, which every worker sees too.
        recipe: How to predict.
        client: Client of the cluster.
        selection: Which pictures are taken.
        size: Usual number of pictures in a partition.
        with_labels: Write labels as Zarr by day, of the pictures that have a time.
        on_note: Gets what there is to tell a person.
        on_progress: Gets the state after each partition.

    Returns:
        What was done. If there are failures, no file ``_SUCCESS`` is written.

    Raises:
        OSError: The source cannot be listed, or results cannot be written.
        ValueError: The destination has results of other settings, or a file in it is damaged.
        RuntimeError: The results lack a picture or have one twice, which no run leaves behind.
    """
    tell = on_note or (lambda note: None)
    predictor = recipe.build()
    keep(predictor)
    found = list_pictures(source, selection or Selection())
    for note in found.notes:
        tell(note)
    fs, root = file_system(destination)
    _claim(fs, root, predictor.fingerprint, predictor.classes)
    plan = list(partitions(found.pictures, predictor.fingerprint, size=size, ordered=predictor.ordered))
    finished = _finished(fs, root, with_labels=with_labels)
    waiting = [each for each in plan if each.address not in finished]
    if len(waiting) < len(plan):
        tell(f'{len(plan) - len(waiting)} of {len(plan)} partitions are done already')
    fs.makedirs(root, exist_ok=True)
    began = time.monotonic()
    task = partial(process, recipe, predictor.fingerprint, with_labels=with_labels)
    calls = {each.address: (task, each, source, destination) for each in waiting}
    before = len(found.pictures) - sum(len(each.pictures) for each in waiting)
    done: list[Done] = []

    def report(result: Done) -> None:
        done.append(result)
        if on_progress is not None:
            count = sum(each.pictures for each in done)
            rate = count / (time.monotonic() - began)
            on_progress(Progress(before + count, len(found.pictures), len(client.nthreads()), rate))

    names = {each.address: f'pictures from {printable(each.pictures[0].key)} on' for each in waiting}
    failures = _run(client, calls, names, report)
    seconds = time.monotonic() - began
    missing = {each.address for each in waiting} - {each.address for each in done}
    checked = _check(fs, root, [each for each in plan if each.address not in missing], with_labels=with_labels)
    days = _days(checked)
    if with_labels:
        labels = {str(day.date): (write_day, destination, day, predictor.classes) for day in days}
        failures += _run(client, labels, {name: f'labels of {name}' for name in labels}, lambda count: None)
    summary = Summary(
        pictures=len(found.pictures),
        done=sum(len(each.partition.pictures) for each in checked),
        refused=sum(len(each.refusals) for each in checked),
        partitions=len(plan),
        predicted=sum(each.pictures for each in done),
        seconds=seconds,
        bytes=sum(each.bytes for each in done),
        days=len(days),
        failures=failures,
    )
    _conclude(fs, root, summary, checked)
    return summary


def _claim(fs: Any, root: str, fingerprint: str, classes: Sequence[str]) -> None:
    """Write down whose results a folder has.

    Raises:
        ValueError: It has those of other settings.
    """
    path = f'{root}/run.json'
    fs.invalidate_cache()
    if fs.exists(path):
        other = json.loads(fs.cat_file(path))
        if other['fingerprint'] != fingerprint:
            raise ValueError(
                f'{printable(root)} has results of another model, other prompts or options, or version '
                f'{other["version"]} of hyperbolic_seg (classes {", ".join(other["classes"])}): give another folder'
            )
    about = dict(fingerprint=fingerprint, version=__version__, classes=list(classes))
    put(fs, path, json.dumps(about, indent=1).encode() + b'\n')
    if fs.exists(f'{root}/{SUCCESS}'):
        fs.rm_file(f'{root}/{SUCCESS}')


def _finished(fs: Any, root: str, *, with_labels: bool) -> set[str]:
    """Return the addresses of the partitions whose files are there."""
    done = set(names_in(fs, f'{root}/{RECORDS}', '.parquet'))
    return done & set(names_in(fs, f'{root}/{MAPS}', '.parquet')) if with_labels else done


def _run(
    client: 'Client',
    calls: dict[str, tuple[Any, ...]],
    names: dict[str, str],
    on_result: Callable[[Any], None],
) -> list[Failure]:
    """Run calls on the workers, few enough at a time that a scheduler holds an archive of any size.

    Args:
        client: The client.
        calls: Functions with their arguments, by a key that is the same in every run.
        names: What the calls are about, for people.
        on_result: Gets each result.

    Returns:
        Those that failed, as often as they were tried.
    """
    from distributed import as_completed

    pending, failures, cancelled = iter(calls.items()), list[Failure](), 0
    running: Iterable[Future] = as_completed()

    def submit() -> bool:
        for key, (function, *arguments) in pending:
            running.add(client.submit(function, *arguments, key=f'hyperbolic-seg-{key}', retries=_RETRIES, pure=False))
            return True
        return False

    # An adaptive cluster starts workers for what waits.
    for _ in range(max(32, 4 * sum(client.nthreads().values()))):
        if not submit():
            break
    for future in running:
        key = future.key.removeprefix('hyperbolic-seg-')
        try:
            # It waits where a worker died with a result that nobody had fetched, which is then made again.
            on_result(future.result())
        except (Exception, CancelledError) as error:
            if len(failures) < _MAX_FAILURES:
                failures.append(Failure(names[key], reason_of(error)))
            else:
                cancelled += 1
        future.release()
        if len(failures) < _MAX_FAILURES:
            submit()
    cancelled += sum(1 for _ in pending)
    if cancelled:
        failures.append(Failure(f'{cancelled} more', f'not tried, or failed too, after {_MAX_FAILURES} failures'))
    return failures


def _check(fs: Any, root: str, plan: Sequence[Partition], *, with_labels: bool) -> list[_Checked]:
    """Read back which pictures the files of partitions have.

    Raises:
        RuntimeError: A picture lacks, or is there twice.
        ValueError: A file is damaged.
    """
    fs.invalidate_cache()
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(partial(_check_one, fs, root, with_labels), plan))


def _check_one(fs: Any, root: str, with_labels: bool, each: Partition) -> _Checked:
    rows = _read(fs, f'{root}/{RECORDS}/{each.address}.parquet', ['image', 'refusal'])
    if [row['image'] for row in rows] != [printable(picture.key) for picture in each.pictures]:
        raise RuntimeError(
            f'{root}/{RECORDS}/{each.address}.parquet has other pictures than planned: remove it, and start again'
        )
    refusals = [(row['image'], row['refusal']) for row in rows if row['refusal'] is not None]
    times = _read(fs, f'{root}/{MAPS}/{each.address}.parquet', ['time']) if with_labels else []
    return _Checked(each, refusals, days_of([row['time'] for row in times]))


def _read(fs: Any, path: str, columns: list[str]) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, Any]] = pq.read_table(path, columns=columns, filesystem=fs).to_pylist()
    except pa.ArrowInvalid as error:
        raise ValueError(f'{printable(path)} is damaged: remove it, and start again ({error})') from error
    return rows


def _days(checked: Sequence[_Checked]) -> list[Day]:
    found: dict[date, list[str]] = {}
    for each in checked:
        for day in each.days:
            found.setdefault(day, []).append(each.partition.address)
    return [Day(day, tuple(found[day])) for day in sorted(found)]


def _conclude(fs: Any, root: str, summary: Summary, checked: Sequence[_Checked]) -> None:
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
    dates = {str(day.date) for day in _days(checked)}
    if summary.days:
        for name, path in names_in(fs, f'{root}/{LABELS}', '.zarr').items():
            if name not in dates:
                fs.rm(path, recursive=True)
    about = summary.as_dict() | dict(finished=datetime.now(timezone.utc).isoformat(timespec='seconds'))
    put(fs, f'{root}/{SUCCESS}', json.dumps(about, indent=1).encode() + b'\n')


def _line(each: _Checked) -> list[Any]:
    keys = [picture.key for picture in each.partition.pictures]
    return [f'{RECORDS}/{each.partition.address}.parquet', len(keys), len(each.refusals), keys[0], keys[-1]]


def _table(columns: list[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline='')
    table = csv.writer(text)
    table.writerow(columns)
    table.writerows([cell if isinstance(cell, int) else table_cell(cell, lead='./') for cell in row] for row in rows)
    return text.getvalue().encode('utf-8', 'surrogateescape')
