"""Lines of the journal that wait to be delivered, and how far a delivery is, across restarts and crashes."""

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from hyperbolic_seg.files import open_own, open_regular, own_path, read_regular, write_whole

_MAX_BYTES = 2**16


class Backlog:
    """Reads the journal line by line, behind those that are delivered, whose count is in ``OUT/NAME.json``.

    Only what :meth:`extend` has seen is read: a line is synced to disk by then, and no power cut takes it back. Lines
    stay in the journal, so a long backlog takes no memory. :meth:`extend` may be called by another thread.

    Args:
        out_dir: Folder of the results, with ``journal.jsonl``, opened before, so that it has no incomplete line.
        name: Name of the delivery, such as ``webhook``.

    Raises:
        OSError: A file cannot be read, or is a link.
        ValueError: The count is damaged, or of another journal.
    """

    def __init__(self, out_dir: str | Path, name: str) -> None:
        self._journal = own_path(out_dir, 'journal.jsonl')
        self._progress = own_path(out_dir, f'{name}.json')
        self._refusals = own_path(out_dir, f'{name}_refused.jsonl')
        self._lines, self._bytes, self._refused = self._read_progress()
        self._end = 0
        self.extend()
        self._file: BinaryIO | None = None
        self._check()

    def extend(self) -> None:
        """Take the lines that the journal has by now."""
        self._end = self._journal.stat().st_size if self._journal.exists() else 0

    @property
    def waiting(self) -> bool:
        """Whether lines of the journal are not delivered yet."""
        return self._bytes < self._end

    def next(self) -> bytes:
        """Return the first line that waits, without its line break.

        Raises:
            OSError: The journal cannot be read.
            ValueError: It is no regular file, or ends within the line.
        """
        if self._file is None:
            self._file = open_regular(self._journal)
        self._file.seek(self._bytes)
        line = self._file.readline()
        if not line.endswith(b'\n'):
            raise ValueError(f'line {self._lines + 1} of {self._journal} is not complete')
        return line[:-1]

    def advance(self, line: bytes, refusal: dict[str, Any] | None = None) -> None:
        """Take the first line that waits as done.

        Args:
            line: The line.
            refusal: Why it was not delivered, for ``OUT/NAME_refused.jsonl``.

        Raises:
            OSError: The progress cannot be written. The line is done all the same, until the process ends.
        """
        self._lines, self._bytes = self._lines + 1, self._bytes + len(line) + 1
        if refusal is not None:
            self._refused += 1
            with os.fdopen(open_own(self._refusals, append=True), 'ab') as file:
                file.write(json.dumps(dict(line=self._lines) | refusal).encode() + b'\n')
        progress = dict(lines=self._lines, bytes=self._bytes, refused=self._refused)
        write_whole(self._progress, json.dumps(progress).encode())

    def close(self) -> None:
        """Close the journal."""
        if self._file is not None:
            self._file.close()

    def _read_progress(self) -> tuple[int, int, int]:
        if not self._progress.exists():
            return 0, 0, 0
        try:
            found = json.loads(read_regular(self._progress, max_bytes=_MAX_BYTES))
            counts = tuple(found[name] for name in ('lines', 'bytes', 'refused'))
            if not all(type(count) is int and count >= 0 for count in counts):
                raise ValueError(f'not counts: {counts}')
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{self._progress} is damaged ({error}): {self._advice}') from error
        return counts

    def _check(self) -> None:
        """Check that the delivered lines end where a line of the journal does."""
        if self._bytes == 0:
            return
        before = b''
        if self._bytes <= self._end:
            with open_regular(self._journal) as file:
                file.seek(self._bytes - 1)
                before = file.read(1)
        if before != b'\n':
            raise ValueError(f'{self._progress} counts lines that {self._journal} does not have: {self._advice}')

    @property
    def _advice(self) -> str:
        return 'remove it, and all lines of the journal are delivered again, with the same keys'
