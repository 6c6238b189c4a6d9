"""Watching a folder that a camera fills: each new image is processed once, across restarts and crashes."""

import json
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any

from filelock import FileLock, Timeout

from hyperbolic_seg.app.failures import cause, failure
from hyperbolic_seg.app.selection import Selection, walk, without_links
from hyperbolic_seg.files import kind_of_file, open_own, own_path, remove_parts

_MAX_ATTEMPTS = 3
"""Limit of the attempts at an image that fails for another reason than the file system."""
_MAX_FAILURES = 3
"""Limit of the failures in one scan. More mean that the disk, the share or the device fails: waiting is better."""


class Journal:
    """Log of processed images, one line of JSON each, in ``OUT/journal.jsonl``.

    Each line is synced to disk before the next image begins. A line that a killed process left incomplete is removed,
    and its image is processed again. One process at a time holds the journal; at its start it removes the unfinished
    files that killed ones have left in the folder.

    Args:
        out_dir: Folder of the results; made if it does not exist.

    Raises:
        OSError: The journal cannot be opened, or the journal or its lock is a link or not a regular file.
        RuntimeError: Another process holds the journal.
        ValueError: A complete line of the journal is damaged.
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
            remove_parts(folder)
            # Without a buffer, closing the file does not repeat a write that the disk has refused.
            self._file = os.fdopen(open_own(self.path, append=True), 'a+b', buffering=0)
            try:
                self._versions = self._read()
            except BaseException:
                self._file.close()
                raise
        except BaseException:
            self._lock.release()
            raise

    def _read(self) -> dict[str, list[int]]:
        self._file.seek(0)
        content = self._file.read()
        complete = content[: content.rfind(b'\n') + 1]
        if len(complete) < len(content):
            self._file.truncate(len(complete))
        versions = {}
        for number, line in enumerate(complete.splitlines(), 1):
            try:
                record = json.loads(line)
                versions[name_of(record)] = list(record['version'])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f'line {number} of {self.path} is damaged ({error}): repair or remove it') from error
        return versions

    def __contains__(self, image: tuple[str, list[int]]) -> bool:
        name, version = image
        return self._versions.get(name) == version

    def __len__(self) -> int:
        return len(self._versions)

    def add(self, name: str, version: list[int], record: dict[str, Any]) -> dict[str, Any]:
        """Write a line and return it: the record with ``name`` and ``version``, the size and time of change.

        Raises:
            OSError: The line cannot be written completely; the next start removes the incomplete part.
        """
        line = record | dict(name=name, version=version)
        content = json.dumps(line).encode() + b'\n'  # ASCII, because a file name may not be valid UTF-8
        if self._file.write(content) < len(content):
            raise OSError(f'{self.path} takes no more: the disk is full, or the file too large')
        os.fsync(self._file.fileno())
        self._versions[name] = version
        return line

    def close(self) -> None:
        """Close the file and release the lock."""
        self._file.close()
        self._lock.release()

    def __enter__(self) -> 'Journal':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def name_of(line: Mapping[str, Any]) -> str:
    """Return the name of the image of a line of the journal, also of one that version 0.1 has written.

    Raises:
        KeyError: The line has none.
    """
    return str(line['name'] if 'name' in line else line['picture'])


def watch(
    folder: str | Path,
    journal: Journal,
    predict: Callable[[str, str], dict[str, Any]],
    *,
    failed: Callable[[str, Exception], dict[str, Any]] = failure,
    interval: float = 2.0,
    settle: float = 1.0,
    stop: Event | None = None,
    once: bool = False,
    selection: Selection | None = None,
) -> Iterator[dict[str, Any]]:
    """Predict every image of a folder and its subfolders that the journal does not list, oldest first; then wait.

    An image is complete when its size and its time of change have been stable for a while. An image that is written
    again under the same name is a new one. Names that begin with a dot are ignored, because cameras use them for
    incomplete files, and so are links to an image that is taken anyway. Skipped with a message are FIFOs, sockets and
    devices, links that lead out of the folder, and links to other folders.

    Args:
        folder: The folder. It may vanish and come back, as a network share does.
        journal: The images that are done.
        predict: Takes a file and a name for its outputs, and returns a record. An error that it raises is not the fault
            of the image, but of a lost share, a full disk or a device: the journal does not list the image, and it is
            tried again, after other errors than an ``OSError`` three times at most.
        failed: Takes a file and what was raised at the last attempt, and returns the record of the image.
        interval: Seconds between two scans.
        settle: Seconds without a change after which an image is complete.
        stop: Ends the loop after the current image.
        once: End when there is no new image, or none but those that met an ``OSError``.
        selection: Which images are taken; by default all.

    Yields:
        The lines of the journal as they are written. Not in the journal are two other kinds of line: ``name`` and
        ``error`` for an image that will be tried again; ``name`` and ``skipped`` for a file that is no image, with
        the reason, once for each reason; of the images that the selection leaves out by default, one line with the
        name of the folder.
    """
    folder, stop = Path(folder), stop or Event()
    selection = selection or Selection(derived=())
    seen: dict[str, tuple[list[int], float]] = {}
    failed_before: set[str] = set()  # they come last
    attempts: Counter[str] = Counter()
    reported: set[tuple[str, str]] = set()
    told = False
    while not stop.is_set():
        root = os.path.realpath(folder)
        found: dict[str, list[int]] = {}
        listed, left_out = _list_images(folder, root, selection)
        for name, state in listed.items():
            if not isinstance(state, str):
                if (name, state) not in journal:
                    found[name] = state
            elif (name, state) not in reported:
                reported.add((name, state))
                yield dict(name=name, skipped=state)
        if not told and (note := selection.note(left_out)):
            told = True
            yield dict(name='.', skipped=note)
        now = time.monotonic()
        seen = {n: seen[n] if n in seen and seen[n][0] == version else (version, now) for n, version in found.items()}
        ready = [name for name, (_, since) in seen.items() if now - since >= settle]
        failures = lost = 0
        for name in sorted(ready, key=lambda name: (name in failed_before, found[name][1], name)):
            if stop.is_set() or failures == _MAX_FAILURES:
                break
            if isinstance(_state(folder / name, root), str) or _leads_out(folder / name, root):
                continue  # the file was replaced after the scan; the next scan reports it
            try:
                record = predict(str(folder / name), name)
            except Exception as error:
                failures += 1
                lost += isinstance(error, OSError)
                failed_before.add(name)
                reason = cause(error)
                attempt = f'{name} {found[name]}'
                attempts[attempt] += not isinstance(error, OSError)
                if attempts[attempt] >= _MAX_ATTEMPTS:  # not the disk: the image needs more memory than there is
                    record = failed(str(folder / name), error)
                    record['error'] = f'failed {_MAX_ATTEMPTS} times: {reason}'
                    yield journal.add(name, found[name], record)
                else:
                    yield dict(name=name, error=f'will be tried again: {reason}')
                continue
            failed_before.discard(name)
            yield journal.add(name, found[name], record)
        if once and (lost or not found):
            return
        if failures or not ready:
            stop.wait(min(interval, settle) if found and not failures else interval)


def _list_images(folder: Path, root: str, selection: Selection) -> tuple[dict[str, list[int] | str], Counter[str]]:
    """Return image files, links to folders, and other files with the suffix of an image.

    Returns:
        :func:`_state` by name below the folder, with slashes; and how many images each pattern leaves out.
    """
    left_out, states, images = Counter[str](), dict[str, list[int] | str](), list[Path]()
    for path, is_link_to_folder in walk(folder):
        name = path.relative_to(folder).as_posix()
        pattern, state = selection.left_out(name), _state(path, root)
        if pattern is not None:
            left_out.update([] if is_link_to_folder else [pattern])
        elif isinstance(state, str):
            states[name] = state
        elif state is not None:
            states[name] = state
            images.append(path)
    taken = {path.relative_to(folder).as_posix() for path in without_links(folder, images)}
    return {name: state for name, state in states.items() if isinstance(state, str) or name in taken}, left_out


def _state(path: Path, root: str) -> list[int] | str | None:
    """Return the size and the time of change in nanoseconds; a reason to skip the file; ``None`` if it is gone.

    Args:
        path: A path below the folder.
        root: The folder, with links resolved.
    """
    try:
        state = path.lstat()
    except OSError:
        return None
    if stat.S_ISLNK(state.st_mode):
        if os.path.isdir(path):
            return 'a link to a folder, which is not followed: watch that folder, or put the images here'
        if _leads_out(path, root):
            return 'a link that leads out of the watched folder: put the image itself here'
        try:
            state = path.stat()
        except OSError:
            return 'a link that leads nowhere'
    if kind := kind_of_file(state.st_mode):
        return f'{kind}: expected a regular file'
    return [state.st_size, state.st_mtime_ns]


def _leads_out(path: Path, root: str) -> bool:
    return not Path(os.path.realpath(path)).is_relative_to(root)
