"""A folder that a camera fills: every new picture once, whatever happens between."""

import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

from filelock import FileLock, Timeout

from hyperbolic_seg.files import IMAGE_SUFFIXES, kind_of_file, open_own, own_path

_MOST_FAILURES = 3
"""In one look: then it is the disk, the share or the device, and waiting is better than trying on."""


class Journal:
    """What was done, a line of JSON for each picture, in ``OUT/journal.jsonl``.

    A line is on the disk before the next picture begins. What a killed process left of a line is taken away, and its
    picture is done again. The journal is held by one process at a time.

    Args:
        out_dir: The folder of the results; made if need be.

    Raises:
        OSError: It cannot be opened, or it or its lock is a link or no regular file.
        RuntimeError: Another process holds it.
        ValueError: A whole line of it is damaged.
    """

    def __init__(self, out_dir: str | Path) -> None:
        folder = Path(out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self.path = own_path(folder, 'journal.jsonl')
        self._lock = FileLock(own_path(folder, '.journal.lock'))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RuntimeError(f'another process watches into {folder}: stop it, or give another folder') from None
        try:
            # What the disk refuses is not tried again on closing, as there is no buffer.
            self._file = os.fdopen(open_own(self.path, append=True), 'a+b', buffering=0)
            try:
                self._done = self._read()
            except BaseException:
                self._file.close()
                raise
        except BaseException:
            self._lock.release()
            raise

    def _read(self) -> dict[str, list[int]]:
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(b'\n') + 1]
        if len(whole) < len(content):
            self._file.truncate(len(whole))
        done = {}
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = json.loads(line)
                done[record['picture']] = list(record['version'])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f'line {number} of {self.path} is damaged ({error}): mend or remove it') from error
        return done

    def __contains__(self, picture: tuple[str, list[int]]) -> bool:
        name, version = picture
        return self._done.get(name) == version

    def __len__(self) -> int:
        return len(self._done)

    def add(self, name: str, version: list[int], record: dict[str, Any]) -> dict[str, Any]:
        """Write a line, and return it: the record with ``picture`` and its ``version``, size and time of change.

        Raises:
            OSError: It cannot be written as a whole; what stands there of it is taken away at the next start.
        """
        line = record | dict(picture=name, version=version)
        content = json.dumps(line).encode() + b'\n'  # in ASCII: a name may be no UTF-8
        if self._file.write(content) < len(content):
            raise OSError(f'{self.path} takes no more: the disk is full, or the file too large')
        os.fsync(self._file.fileno())
        self._done[name] = version
        return line

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
        self._lock.release()

    def __enter__(self) -> 'Journal':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def watch(
    folder: str | Path,
    journal: Journal,
    predict: Callable[[str, str], dict[str, Any]],
    *,
    interval: float = 2.0,
    settle: float = 1.0,
    stop: Event | None = None,
    once: bool = False,
) -> Iterator[dict[str, Any]]:
    """Predict every picture of a folder and its subfolders that the journal does not have, oldest first, and go on.

    A picture is taken when neither its size nor its time of change has moved for a while; one that is written again
    under the same name is another picture. Names that begin with a dot are left alone, as cameras use them for what
    is not whole. Left alone by name are FIFOs, sockets and devices, links that lead out of the folder, and links to
    other folders.

    Args:
        folder: The pictures. It may vanish and come back, as a share on a network does.
        journal: What was done.
        predict: Takes a file and a name for its outputs, and returns a record. What it raises as ``OSError``,
            ``RuntimeError`` or ``MemoryError`` is no fault of the picture, as when a share is gone or a disk is full:
            the journal does not have it, and the picture's turn comes again.
        interval: Seconds between two looks.
        settle: Seconds without a change that make a picture whole.
        stop: Ends it, after the picture at hand.
        once: End when there is nothing new.

    Yields:
        The lines of the journal, as they are written; of a picture that will be tried again ``picture`` and ``error``;
        of what is left alone by name ``picture`` and ``left_alone``, the reason, once for each reason. The journal
        does not have these two.
    """
    folder, stop = Path(folder), stop or Event()
    seen: dict[str, tuple[list[int], float]] = {}
    troubled: set[str] = set()  # they come last
    told: set[tuple[str, str]] = set()
    while not stop.is_set():
        root = os.path.realpath(folder)
        found: dict[str, list[int]] = {}
        for name, state in _pictures(folder, root):
            if not isinstance(state, str):
                if (name, state) not in journal:
                    found[name] = state
            elif (name, state) not in told:
                told.add((name, state))
                yield dict(picture=name, left_alone=state)
        now = time.monotonic()
        seen = {n: seen[n] if n in seen and seen[n][0] == version else (version, now) for n, version in found.items()}
        ready = [name for name, (_, since) in seen.items() if now - since >= settle]
        failed = 0
        for name in sorted(ready, key=lambda name: (name in troubled, found[name][1], name)):
            if stop.is_set() or failed == _MOST_FAILURES:
                break
            if isinstance(_state(folder / name, root), str) or _leads_out(folder / name, root):
                continue  # it has become so since the look; the next one names it
            try:
                record = predict(str(folder / name), name)
            except (OSError, RuntimeError, MemoryError) as error:
                failed += 1
                troubled.add(name)
                why = ' '.join(str(error).split()) or type(error).__name__
                yield dict(picture=name, error=f'will be tried again: {why}')
                continue
            troubled.discard(name)
            yield journal.add(name, found[name], record)
        if once and (failed or not found):
            return
        if failed or not ready:
            stop.wait(min(interval, settle) if found and not failed else interval)


def _pictures(folder: Path, root: str) -> Iterator[tuple[str, list[int] | str]]:
    """Yield pictures, links to folders, and what has the name of a picture: names with slashes, and :func:`_state`."""
    waiting = [folder]
    while waiting:  # not by os.walk, which a thousand folders within each other end
        parent = waiting.pop()
        try:
            with os.scandir(parent) as listed:
                entries = [entry for entry in listed if not entry.name.startswith('.')]
        except OSError:  # gone since it was listed, or not for us to read
            continue
        for entry in entries:
            path = parent / entry.name
            if _is_folder(entry):
                waiting.append(path)
                continue
            named = path.suffix.lower() in IMAGE_SUFFIXES or (os.path.islink(path) and os.path.isdir(path))
            state = _state(path, root) if named else None
            if state is not None:
                yield path.relative_to(folder).as_posix(), state


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _state(path: Path, root: str) -> list[int] | str | None:
    """Return size and time of change in nanoseconds; why it is left alone if it is; ``None`` if it is gone.

    Args:
        path: Below the folder.
        root: The folder, without links.
    """
    try:
        state = path.lstat()
    except OSError:
        return None
    if stat.S_ISLNK(state.st_mode):
        if os.path.isdir(path):
            return 'a link to a folder, which is not followed: watch that folder, or put the pictures here'
        if _leads_out(path, root):
            return 'a link that leads out of the watched folder: put the picture itself here'
        try:
            state = path.stat()
        except OSError:
            return 'a link that leads nowhere'
    if kind := kind_of_file(state.st_mode):
        return f'{kind}: expected a regular file'
    return [state.st_size, state.st_mtime_ns]


def _leads_out(path: Path, root: str) -> bool:
    return not Path(os.path.realpath(path)).is_relative_to(root)
