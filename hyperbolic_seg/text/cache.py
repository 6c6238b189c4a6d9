"""Text embeddings on disk: one small database per encoder, which holds the texts that were used last."""

import hashlib
import os
import sqlite3
import stat
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import numpy as np

from hyperbolic_seg.files import kind_of_file, printable

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

MAX_TEXTS = 2**15
"""Texts of one encoder, 8 times the 990 phrases of the sky in 4 templates: about 60 MB in 384 dimensions, 80 in 512."""

T = TypeVar('T')
_COLUMNS = 'key BLOB PRIMARY KEY, used INTEGER NOT NULL, checksum BLOB NOT NULL, vector BLOB NOT NULL'
_TABLE = f'CREATE TABLE texts ({_COLUMNS})'
_INDEX = 'CREATE INDEX texts_by_use ON texts (used)'
_SCHEMA = {
    ('table', 'texts', 'texts', _TABLE),
    ('index', 'sqlite_autoindex_texts_1', 'texts', None),
    ('index', 'texts_by_use', 'texts', _INDEX),
}
_PAGE_SIZE = 2**14  # ten embeddings of 384 dimensions, or three of 1280, with little left over
_CACHE_SIZE = 16_000  # KiB; the 4,000 texts of the sky are 7 MB, of which no page is then read twice
_MAX_USED = 2**62  # of the counter, which has 63 bits
_AT_ONCE = 500  # parameters of a query; old builds of SQLite take 999
_SQLITE_ERROR = 1  # SQLite's code for a file that it cannot make sense of, never for a lock or a full disk
# The bytes by which the processes that use a database lock it: https://www.sqlite.org/fileformat.html#the_lock_byte_page
_LOCK_START, _LOCK_LENGTH = 2**30, 512

# One database is open at a time in a process, and none while it forks: a child would take the locks for its own.
_open_one = threading.RLock()
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(before=_open_one.acquire, after_in_parent=_open_one.release, after_in_child=_open_one.release)


class _DamageError(sqlite3.DatabaseError):
    """A database that is whole, but none of ours."""


def default_cache_dir() -> Path:
    """Return the folder for cached embeddings.

    ``$HYPERBOLIC_SEG_CACHE``, else ``$XDG_CACHE_HOME/hyperbolic_seg``, else ``~/.cache/hyperbolic_seg``.
    """
    if folder := os.environ.get('HYPERBOLIC_SEG_CACHE'):
        return Path(folder)
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'hyperbolic_seg'


class EmbeddingCache:
    """Embeddings of one encoder by their texts, in a SQLite file that any number of processes share.

    No file is kept open between calls. What is damaged counts as not there, with a warning. A database that cannot be
    used, because its folder cannot be written to, the disk is full or others keep it locked, is one warning; from then
    on the object holds nothing and stores nothing.

    Args:
        folder: Where the file lies; made when something is first stored.
        encoder: What identifies the encoder; the name of the file.
        max_texts: Texts to hold; those that were not used for longest are dropped first.
        timeout: Seconds to wait for a database that others have locked.

    Raises:
        ValueError: ``max_texts`` is less than one.
    """

    def __init__(self, folder: str | Path, encoder: str, *, max_texts: int = MAX_TEXTS, timeout: float = 5.0) -> None:
        if max_texts < 1:
            raise ValueError(f'max_texts={max_texts}: expected at least 1')
        self.folder, self.encoder = Path(folder), encoder
        self.max_texts, self.timeout = max_texts, timeout
        self._usable = True

    @property
    def path(self) -> Path:
        """The file of the database."""
        return self.folder / f'{self.encoder}.sqlite'

    def get(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the embeddings that are held, float32 (D,), by their texts."""
        keys = {_key(text): text for text in texts}
        if not os.path.lexists(self.path):
            return {}
        found = self._use(lambda database: _read(database, list(keys), self.max_texts), 'rw')
        if found is None:
            return {}
        vectors, damaged = found
        if damaged:
            warnings.warn(f'{damaged} embeddings in {self.path} are damaged and are computed again', stacklevel=2)
        return {keys[key]: vector for key, vector in vectors.items() if key in keys}

    def put(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Store embeddings, (D,), by their texts, all of them or none; but not those that are not finite.

        Raises:
            ValueError: They are not of one length.
        """
        if len(shapes := {np.shape(vector) for vector in vectors.values()}) > 1:
            raise ValueError(f'embeddings of the shapes {sorted(shapes)}: expected those of one encoder, of one length')
        finite = [(_key(text), vector) for text, vector in vectors.items() if np.isfinite(vector).all()]
        rows = [(key, np.ascontiguousarray(vector, dtype='<f4').tobytes()) for key, vector in finite[-self.max_texts :]]
        if not rows:
            return
        self._use(lambda database: _write(database, rows, self.max_texts), 'rwc')

    def _use(self, work: Callable[[sqlite3.Connection], T], mode: str) -> T | None:
        """Work on the database, on a new one where it is damaged; ``None``, with a warning, where there is no way."""
        problem: Exception | None = None
        for _ in range(2 if self._usable else 0):
            try:
                with _alone(self.timeout):
                    return self._work(work, mode)
            except _DamageError as error:
                problem = error
                warnings.warn(f'{self.path} {printable(error):.300}: a new one takes its place', stacklevel=3)
            except (OSError, ValueError, sqlite3.Error) as error:
                problem = error
                break
        if problem is not None:
            self._usable = False
            warnings.warn(f'embeddings cannot be cached in {self.folder}: {printable(problem):.300}', stacklevel=3)
        return None

    def _work(self, work: Callable[[sqlite3.Connection], T], mode: str) -> T:
        """Open the database for some work. One that is damaged is emptied, and ``_DamageError`` raised."""
        if mode == 'rwc':
            self.folder.mkdir(parents=True, exist_ok=True)
        before = _check_kinds(self.path)
        try:
            # Named as a URI, which can ask SQLite not to make a file.
            name = f'{self.path.absolute().as_uri()}?mode={mode}'
            with closing(sqlite3.connect(name, uri=True, timeout=self.timeout, isolation_level=None)) as database:
                _set_up(database)
                return work(database)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # SQLite quotes what it finds, in any bytes
            if before is None or not _is_damage(error):
                raise
            _empty(self.path, before, self.timeout)
            raise _DamageError(f'is damaged ({error})') from error


@contextmanager
def _alone(timeout: float) -> Iterator[None]:
    """Keep the other threads of this process from opening a database."""
    if not _open_one.acquire(timeout=timeout):
        raise TimeoutError(f'other threads have used the cache for {timeout} seconds')
    try:
        yield
    finally:
        _open_one.release()


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _checksum(key: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(key + payload).digest()


def _check_kinds(path: Path) -> os.stat_result | None:
    """Return the status of a database, ``None`` if there is none. Neither it nor a file beside it may be special.

    Raises:
        ValueError: One of them is no regular file; SQLite would wait for a FIFO, and write through a link.
    """
    found = None
    for suffix in ('-journal', '-wal', '-shm', ''):
        beside = path.with_name(path.name + suffix)
        try:
            found = os.lstat(beside)
        except FileNotFoundError:
            found = None
            continue
        if kind := 'a symbolic link' if stat.S_ISLNK(found.st_mode) else kind_of_file(found.st_mode):
            raise ValueError(f'{beside} is {kind}: expected a regular file')
    return found


def _set_up(database: sqlite3.Connection) -> None:
    """Make a connection fit for a file of strangers, which runs nothing and is checked as it is read."""
    database.text_factory = lambda content: content.decode(errors='replace')
    for setting in ('trusted_schema=OFF', 'cell_size_check=ON', 'temp_store=MEMORY', 'synchronous=NORMAL'):
        database.execute(f'PRAGMA {setting}')
    database.execute(f'PRAGMA cache_size={-_CACHE_SIZE}')
    database.execute(f'PRAGMA page_size={_PAGE_SIZE}')  # of a new file
    # The journal of old, which network file systems can do too; a write-ahead log needs memory that is shared.
    if (mode := database.execute('PRAGMA journal_mode').fetchone()[0]) != 'delete':
        raise _DamageError(f'its journal is {mode!r}, expected "delete"')


def _is_damage(error: Exception) -> bool:
    """Whether a database is to blame, and not the machine: a lock, a full disk, a right that is missing."""
    # The code is known from Python 3.11 on.
    return not isinstance(error, sqlite3.OperationalError) or getattr(error, 'sqlite_errorcode', 0) == _SQLITE_ERROR


def _empty(path: Path, before: os.stat_result, timeout: float) -> None:
    """Make a damaged file an empty one, which is an empty database, unless it has changed since it was looked at.

    It stays in its place: with another file there, processes that still use the old one would ruin the new one by
    their journal, which has a name and no more.
    """
    with path.open('r+b') as file:
        if fcntl is not None:
            _lock(file.fileno(), timeout)
        now = os.fstat(file.fileno())
        if (now.st_ino, now.st_size, now.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns):
            file.truncate(0)


def _lock(number: int, timeout: float) -> None:
    """Lock a file as SQLite does who writes: nobody else reads or writes it. Closing the file unlocks it."""
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCK_LENGTH, _LOCK_START)
            return
        except OSError:
            if time.monotonic() > end:
                raise
        time.sleep(0.02)


def _has_table(database: sqlite3.Connection) -> bool:
    """Whether the table is there. Anything beside it, a view or a trigger, is damage."""
    schema = database.execute('SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 4').fetchall()
    if schema and set(schema) != _SCHEMA:
        raise _DamageError(f'its schema is another one, with {", ".join(str(row[1]) for row in schema)}')
    return bool(schema)


def _length(database: sqlite3.Connection) -> int:
    """Return D, the same for all embeddings of an encoder."""
    length = database.execute('PRAGMA user_version').fetchone()[0]
    if length < 1:
        raise _DamageError(f'its embeddings have {length} dimensions')
    return length


def _clock(database: sqlite3.Connection) -> int:
    """Return when the last text was stored or used, by a counter of stored texts."""
    now = database.execute('SELECT max(used) FROM texts').fetchone()[0]
    if now is not None and not (isinstance(now, int) and 0 <= now < _MAX_USED):
        raise _DamageError(f'its counter stands at {now!r:.40}')
    return now or 0


def _read(database: sqlite3.Connection, keys: list[bytes], max_texts: int) -> tuple[dict[bytes, np.ndarray], int]:
    """Return the vectors of keys, and how many of them are damaged."""
    found: list[tuple] = []
    with database:
        database.execute('BEGIN')
        if not _has_table(database):
            return {}, 0
        length, now = _length(database), _clock(database)
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            marks = ','.join('?' * len(part))
            vector = 'CASE length(vector) WHEN ? THEN vector END'  # what is too long is not even read
            query = f'SELECT key, used, checksum, {vector} FROM texts WHERE key IN ({marks})'
            found += database.execute(query, (4 * length, *part))
    sound = [row for row in found if _is_sound(row, length)]
    joined = b''.join(vector for _, _, _, vector in sound)
    vectors = np.frombuffer(joined, dtype='<f4').reshape(len(sound), length).copy()
    finite = np.isfinite(vectors).all(1)
    kept = {row[0]: vector for row, vector, good in zip(sound, vectors, finite, strict=True) if good}
    # Noted when a quarter of the texts might have been dropped since, so that most readings write nothing.
    if stale := [key for key, used, _, _ in sound if key in kept and now - used > max_texts // 4]:
        _touch(database, stale)
    return kept, len(found) - len(kept)


def _is_sound(row: tuple, length: int) -> bool:
    key, used, checksum, vector = row
    if not (isinstance(key, bytes) and isinstance(used, int) and isinstance(vector, bytes)):
        return False
    return len(vector) == 4 * length and _checksum(key, vector) == checksum


def _touch(database: sqlite3.Connection, keys: list[bytes]) -> None:
    """Note that texts are used; where that cannot be written, or not at once, it does not matter."""
    with suppress(sqlite3.OperationalError), database:
        database.execute('PRAGMA busy_timeout=0')
        database.execute('BEGIN IMMEDIATE')
        now = _clock(database) + 1
        database.executemany('UPDATE texts SET used = ? WHERE key = ?', [(now, key) for key in keys])


def _write(database: sqlite3.Connection, rows: list[tuple[bytes, bytes]], max_texts: int) -> None:
    """Store the bytes of vectors by their keys, and drop what is too much."""
    length = len(rows[0][1]) // 4
    with database:
        database.execute('BEGIN IMMEDIATE')
        if not _has_table(database):
            database.execute(_TABLE)
            database.execute(_INDEX)
            database.execute(f'PRAGMA user_version={length}')
        if (held := _length(database)) != length:
            raise _DamageError(f'its embeddings have {held} dimensions, expected {length}')
        now = _clock(database) + 1
        database.executemany(
            'INSERT OR REPLACE INTO texts VALUES (?, ?, ?, ?)',
            [(key, now + place, _checksum(key, payload), payload) for place, (key, payload) in enumerate(rows)],
        )
        excess = database.execute('SELECT count(*) FROM texts').fetchone()[0] - max_texts
        if excess > 0:
            oldest = 'SELECT rowid FROM texts ORDER BY used, rowid LIMIT ?'
            database.execute(f'DELETE FROM texts WHERE rowid IN ({oldest})', (excess,))
