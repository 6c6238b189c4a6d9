"""Reading and writing of pictures beside the prediction of others, in order and in bounded memory."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, NamedTuple, Protocol, TypeVar

from hyperbolic_seg.images import LARGE_PIXELS

AHEAD = 8
"""Pictures in work at a time, at most."""
BUDGET = 3 * LARGE_PIXELS
"""Pixels in work at a time: of a picture that is read, of one that is predicted and of one that is written."""
_THREADS = 4  # that read and write; decoders and encoders leave the interpreter's lock to others


class Job(Protocol):
    """A picture in work, in three steps; each keeps its error to itself."""

    def measure(self) -> int | None:
        """Return the pixels of its file, without decoding it; ``None`` if they are not known before."""

    def read(self) -> None:
        """Take the picture from its file; called beside other jobs, in a thread."""

    def predict(self) -> None:
        """Predict it; called in the caller's thread, one job after the other in their order."""

    def write(self) -> None:
        """Write what was predicted; called beside other jobs, in a thread."""

    def close(self) -> None:
        """Let go of a file that was measured and is not read."""


_Job = TypeVar('_Job', bound=Job)


class _Started(NamedTuple, Generic[_Job]):
    job: _Job
    pixels: int
    step: Future[None]


def in_order(jobs: Iterable[_Job], *, ahead: int = AHEAD, budget: int = BUDGET) -> Iterator[_Job]:
    """Run jobs, and yield each when it is done, in their order.

    While one is predicted, those after it are read and those before it are written. A job that does not fit into the
    budget beside those in work waits for them, and one that is larger than the budget, or of unknown size, is in work
    alone. If the iteration ends early, as by Ctrl-C, nothing new is started, and steps in threads are waited for.

    Args:
        jobs: The jobs; each is taken when there is room for it.
        ahead: Jobs in work at a time; 1 runs one after the other.
        budget: Their pixels together, at most.

    Raises:
        ValueError: ``ahead`` is less than 1.
    """
    if ahead < 1:
        raise ValueError(f'ahead={ahead}: expected at least 1')
    waiting = ((job, budget if (pixels := job.measure()) is None else min(pixels, budget)) for job in jobs)
    upcoming = next(waiting, None)
    reading: deque[_Started[_Job]] = deque()
    writing: deque[_Started[_Job]] = deque()
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix='pictures')
    try:
        while upcoming or reading or writing:
            while upcoming and _fits(upcoming[1], [*reading, *writing], ahead=ahead, budget=budget):
                job, pixels = upcoming
                reading.append(_Started(job, pixels, pool.submit(job.read)))
                upcoming = next(waiting, None)
            if writing and (not reading or writing[0].step.done()):
                done = writing.popleft()
                done.step.result()
                yield done.job
                del done  # its picture, before the next one is read
            else:
                job, pixels, step = reading.popleft()
                step.result()
                job.predict()
                writing.append(_Started(job, pixels, pool.submit(job.write)))
    finally:
        pool.shutdown(cancel_futures=True)
        for left in [*(each.job for each in reading), *([upcoming[0]] if upcoming else [])]:
            left.close()


def _fits(pixels: int, started: list[_Started[_Job]], *, ahead: int, budget: int) -> bool:
    used = sum(each.pixels for each in started)
    return not started or (len(started) < ahead and used + pixels <= budget)
