"""A run over an archive: list, plan, submit to Dask, check and summarize."""

import hashlib
import json
import time
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from hyperbolic_seg.app.archive.labels import write_day
from hyperbolic_seg.app.archive.plan import partitions
from hyperbolic_seg.app.archive.recipe import Recipe, keep
from hyperbolic_seg.app.archive.results import SUCCESS, Failure, Summary, check, conclude, days_in, finished
from hyperbolic_seg.app.archive.sources import absolute, file_system, list_pictures
from hyperbolic_seg.app.archive.stores import put
from hyperbolic_seg.app.archive.tasks import Done, process
from hyperbolic_seg.app.selection import Selection
from hyperbolic_seg.files import printable, reason_of
from hyperbolic_seg.version import __version__

if TYPE_CHECKING:
    from distributed import Client

_RETRIES = 2
_MAX_FAILURES = 10
"""Limit of failed partitions. More mean that a share, a bucket or the workers fail: a later run is better."""


class Progress(NamedTuple):
    """State of a run, after each partition."""

    pictures: int
    """Those that are done."""
    total: int
    workers: int
    rate: float
    """Pictures per second of this run."""


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
    # Workers may have another current folder.
    source, destination = absolute(source), absolute(destination)
    found = list_pictures(source, selection or Selection())
    for note in found.notes:
        tell(note)
    fs, root = file_system(destination)
    _claim(fs, root, predictor.fingerprint, predictor.classes)
    plan = list(partitions(found.pictures, predictor.fingerprint, size=size, ordered=predictor.ordered))
    done_before = finished(fs, root, with_labels=with_labels)
    waiting = [each for each in plan if each.address not in done_before]
    if len(waiting) < len(plan):
        tell(f'{len(plan) - len(waiting)} of {len(plan)} partitions are done already')
    task = partial(process, recipe, predictor.fingerprint, with_labels=with_labels)
    calls = [
        _Call(each.address, f'pictures from {printable(each.pictures[0].key)} on', task, (each, source, destination))
        for each in waiting
    ]
    counter = _Counter(client, len(found.pictures), sum(len(each.pictures) for each in waiting), on_progress)
    failures = _run(client, destination, calls, counter.add)
    seconds = counter.seconds
    missing = {each.address for each in waiting} - {each.address for each in counter.done}
    checked = check(fs, root, [each for each in plan if each.address not in missing], with_labels=with_labels)
    days = days_in(checked)
    labels = [
        _Call(day.address, f'labels of {day.date}', write_day, (destination, day, predictor.classes)) for day in days
    ]
    failures += _run(client, destination, labels, lambda count: None)
    summary = Summary(
        pictures=len(found.pictures),
        done=sum(len(each.partition.pictures) for each in checked),
        refused=sum(len(each.refusals) for each in checked),
        partitions=len(plan),
        predicted=sum(each.pictures for each in counter.done),
        seconds=seconds,
        bytes=sum(each.bytes for each in counter.done),
        days=len(days),
        failures=failures,
    )
    conclude(fs, root, summary, checked)
    return summary


class _Call(NamedTuple):
    """A call of a function on a worker."""

    address: str
    """The same for the same call in every run into one folder."""
    name: str
    """What it is about, for people."""
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class _Counter:
    """Counts what is done, and reports it."""

    def __init__(
        self, client: 'Client', total: int, waiting: int, on_progress: Callable[[Progress], None] | None
    ) -> None:
        self.done: list[Done] = []
        self._client, self._total, self._on_progress = client, total, on_progress
        self._count, self._before, self._began = 0, total - waiting, time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def add(self, result: Done) -> None:
        """Count a partition."""
        self.done.append(result)
        self._count += result.pictures
        if self._on_progress is not None:
            workers, rate = len(self._client.nthreads()), self._count / self.seconds
            self._on_progress(Progress(self._before + self._count, self._total, workers, rate))


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


def _run(client: 'Client', destination: str, calls: Sequence[_Call], on_result: Callable[[Any], None]) -> list[Failure]:
    """Run calls on the workers, few enough at a time that a scheduler holds an archive of any size.

    Args:
        client: The client.
        destination: Tells the calls apart from those of other runs on the cluster.
        calls: The calls.
        on_result: Gets each result.

    Returns:
        Those that failed, as often as they were tried.
    """
    from distributed import as_completed

    named = {f'hyperbolic-seg-{hashlib.sha256(destination.encode()).hexdigest()[:8]}-{c.address}': c for c in calls}
    pending, failures, cancelled = iter(named.items()), list[Failure](), 0
    running = as_completed()

    def submit() -> bool:
        for key, call in pending:
            running.add(client.submit(call.function, *call.arguments, key=key, retries=_RETRIES, pure=False))
            return True
        return False

    # An adaptive cluster starts workers for what waits.
    for _ in range(max(32, 4 * sum(client.nthreads().values()))):
        if not submit():
            break
    for future in running:
        try:
            # It waits where a worker died with a result that nobody had fetched, which is then made again.
            result = future.result()
        except (Exception, CancelledError) as error:
            if len(failures) < _MAX_FAILURES:
                failures.append(Failure(named[future.key].name, reason_of(error)))
            else:
                cancelled += 1
        else:
            on_result(result)
        future.release()
        if len(failures) < _MAX_FAILURES:
            submit()
    cancelled += sum(1 for _ in pending)
    if cancelled:
        failures.append(Failure(f'{cancelled} more', f'not tried, or failed too, after {_MAX_FAILURES} failures'))
    return failures
