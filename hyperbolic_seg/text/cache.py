"""Disk cache of text embeddings: one SQLite database per encoder, limited to the texts used last."""

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
from typing import Any, TypeVar

import numpy as np
from platformdirs import user_cache_path

from hyperbolic_seg.files import kind_of_file, open_regular, printable

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

MAX_TEXTS = 2**15
"""Limit of the texts of one encoder: about 60 MB at 384 dimensions, 80 MB at 512."""

T = TypeVar('T')
_COLUMNS = 'key BLOB PRIMARY KEY, used INTEGER NOT NULL, checksum BLOB NOT NULL, vector BLOB NOT NULL'
_TABLE = f'CREATE TABLE texts ({_COLUMNS})'
_INDEX = 'CREATE INDEX texts_by_use ON texts (used)'
_SCHEMA = {
    ('table', 'texts', 'texts', _TABLE),
    ('index', 'sqlite_autoindex_texts_1', 'texts', None),
    ('index', 'texts_by_use', 'texts', _INDEX),
}
_PAGE_SIZE = 2**14  # fits ten embeddings of 384 dimensions, or three of 1280, with little waste
_SUPER_JOURNAL = bytes.fromhex('d9d505f920a163d7')
_SECONDS_OF_WORK = 10.0  # beyond the wait for locks; the texts of the sky take 0.03
_CACHE_SIZE = 16_000  # KiB; a vocabulary of 1,000 phrases in 4 templates takes 7 MB, and no page is read twice
_MAX_USED = 2**62  # limit of the counter of uses, which has 63 bits
_AT_ONCE = 500  # parameters per query; old builds of SQLite allow 999
_SQLITE_ERROR = 1  # SQLite's code for a file that is no database, never for a lock or a full disk
# Bytes that processes lock while they use a database: https://www.sqlite.org/fileformat.html#the_lock_byte_page
_LOCK_START, _LOCK_LENGTH = 2**30, 512

# A process opens one database at a time, and none while it forks: the child would take over the locks.
_open_one = threading.RLock()
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(before=_open_one.acquire, after_in_parent=_open_one.release, after_in_child=_open_one.release)


class _DamageError(sqlite3.DatabaseError):
    """A valid database with unexpected content."""


def default_cache_dir() -> Path:
    """Return the folder of cached embeddings.

    ``$HYPERBOLIC_SEG_CACHE``, else the user's folder of caches on this system: on Linux
    ``$XDG_CACHE_HOME/hyperbolic_seg`` or ``~/.cache/hyperbolic_seg``.
    """
    if folder := os.environ.get('HYPERBOLIC_SEG_CACHE'):
        return Path(folder)
    return user_cache_path('hyperbolic_seg', appauthor=False)


class EmbeddingCache:
    """Embeddings of one encoder by text, in a SQLite file that any number of processes share.

    No file stays open between calls. Damaged entries count as missing, with a warning. If the database cannot be used
    (folder not writable, disk full, locked for too long), the object warns once, then finds and stores nothing.

    Args:
        folder: Folder of the file; created on the first write.
        encoder: Identity of the encoder, which names the file.
        max_texts: Limit of the texts; the least recently used ones are dropped first.
        timeout: Seconds to wait for a locked database.

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
        """Path of the database."""
        return self.folder / f'{self.encoder}.sqlite'

    def get(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the cached embeddings, float32 (D,), by text."""
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
        """Store embeddings, (D,), by text, all or none; those that are not finite are skipped.

        Raises:
            ValueError: The embeddings differ in length.
        """
        if len(shapes := {np.shape(vector) for vector in vectors.values()}) > 1:
            raise ValueError(f'embeddings of the shapes {sorted(shapes)}: expected a single length')
        finite = [(_key(text), vector) for text, vector in vectors.items() if np.isfinite(vector).all()]
        rows = [(key, np.ascontiguousarray(vector, dtype='<f4').tobytes()) for key, vector in finite[-self.max_texts :]]
        if not rows:
            return
        self._use(lambda database: _write(database, rows, self.max_texts), 'rwc')

    def _use(self, work: Callable[[sqlite3.Connection], T], mode: str) -> T | None:
        """Run ``work`` on the database, or on a new one if it is damaged; warn and return ``None`` on failure."""
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
        """Run ``work`` on the database; empty a damaged one and raise ``_DamageError``."""
        if mode == 'rwc':
            self.folder.mkdir(parents=True, exist_ok=True)
        before = _check_kinds(self.path)
        try:
            # A URI can ask SQLite not to create the file.
            name = f'{self.path.absolute().as_uri()}?mode={mode}'
            with closing(sqlite3.connect(name, uri=True, timeout=self.timeout, isolation_level=None)) as database:
                _set_up(database)
                end = time.monotonic() + self.timeout + _SECONDS_OF_WORK
                # Damaged pages may name each other without end; the timeout of SQLite is for locks alone.
                database.set_progress_handler(lambda: time.monotonic() > end, 10_000)
                return work(database)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # messages of SQLite quote bytes of the file
            if before is None or not _is_damage(error):
                raise
            _empty(self.path, before, self.timeout)
            raise _DamageError(f'is damaged ({error})') from error


@contextmanager
def _alone(timeout: float) -> Iterator[None]:
    """Keep other threads of this process from opening a database."""
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
    """Return the status of the database file, ``None`` if there is none, after checking the files of its journal too.

    Raises:
        ValueError: One of the files is not regular; SQLite would wait for a FIFO, and write through a link.
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
        if suffix == '-journal' and _names_another(beside):
            raise ValueError(f'{beside} names another journal, which SQLite would delete: remove both files')
    return found


def _names_another(journal: Path) -> bool:
    """Return whether a journal names a super-journal, as no journal of ours does (SQLite file format, section 3)."""
    try:
        with open_regular(journal) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(_SUPER_JOURNAL)))
            return file.read(len(_SUPER_JOURNAL)) == _SUPER_JOURNAL
    except FileNotFoundError:  # another process has finished with it
        return False


def _set_up(database: sqlite3.Connection) -> None:
    """Configure a connection for untrusted files: no code in the schema runs, and cells are checked on reading."""
    database.text_factory = lambda content: content.decode(errors='replace')
    for setting in ('trusted_schema=OFF', 'cell_size_check=ON', 'temp_store=MEMORY', 'synchronous=NORMAL'):
        database.execute(f'PRAGMA {setting}')
    database.execute(f'PRAGMA cache_size={-_CACHE_SIZE}')
    database.execute(f'PRAGMA page_size={_PAGE_SIZE}')  # takes effect in a new file
    # A rollback journal works on network file systems too; a write-ahead log needs shared memory.
    if (mode := database.execute('PRAGMA journal_mode').fetchone()[0]) != 'delete':
        raise _DamageError(f'its journal is {mode!r}, expected "delete"')


def _is_damage(error: Exception) -> bool:
    """Return whether an error means a damaged database, rather than a lock, a full disk or a missing permission."""
    # Python tells the code from 3.11 on.
    return not isinstance(error, sqlite3.OperationalError) or getattr(error, 'sqlite_errorcode', 0) == _SQLITE_ERROR


def _empty(path: Path, before: os.stat_result, timeout: float) -> None:
    """Truncate a damaged file to an empty database, unless it has changed since ``before``.

    The file is not replaced: processes that still use the old file would apply its journal, which they find by name,
    to the new one.
    """
    with path.open('r+b') as file:
        if fcntl is not None:
            _lock(file.fileno(), timeout)
        now = os.fstat(file.fileno())
        if (now.st_ino, now.st_size, now.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns):
            file.truncate(0)


def _lock(number: int, timeout: float) -> None:
    """Lock a file like a writing SQLite process: no other reads or writes it. Closing the file unlocks it."""
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
    """Return whether the table exists. Anything else in the schema, such as a view or a trigger, is damage."""
    schema = database.execute('SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 5').fetchall()
    if schema and (len(schema) != len(_SCHEMA) or set(schema) != _SCHEMA):
        raise _DamageError(f'its schema is another one, with {", ".join(str(row[1]) for row in schema)}')
    return bool(schema)


def _length(database: sqlite3.Connection) -> int:
    """Return D, the size of an embedding."""
    length: int = database.execute('PRAGMA user_version').fetchone()[0]
    if length < 1:
        raise _DamageError(f'its embeddings have {length} dimensions')
    return length


def _clock(database: sqlite3.Connection) -> int:
    """Return the time of the last use, counted in stored texts."""
    now = database.execute('SELECT max(used) FROM texts').fetchone()[0]
    if now is not None and not (isinstance(now, int) and 0 <= now < _MAX_USED):
        raise _DamageError(f'its counter stands at {now!r:.40}')
    return now or 0


def _read(database: sqlite3.Connection, keys: list[bytes], max_texts: int) -> tuple[dict[bytes, np.ndarray], int]:
    """Return embeddings by key, and the number of damaged ones."""
    found: list[tuple[Any, ...]] = []
    with database:
        database.execute('BEGIN')
        if not _has_table(database):
            return {}, 0
        length, now = _length(database), _clock(database)
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            marks = ','.join('?' * len(part))
            vector = 'CASE length(vector) WHEN ? THEN vector END'  # reads no vector of a wrong length
            query = f'SELECT key, used, checksum, {vector} FROM texts WHERE key IN ({marks})'
            found += database.execute(query, (4 * length, *part))
    sound = [row for row in found if _is_sound(row, length)]
    joined = b''.join(vector for _, _, _, vector in sound)
    vectors = np.frombuffer(joined, dtype='<f4').reshape(len(sound), length).copy()
    finite = np.isfinite(vectors).all(1)
    kept = {row[0]: vector for row, vector, good in zip(sound, vectors, finite, strict=True) if good}
    # Times of use are renewed only after a quarter of the capacity was stored, so most reads write nothing.
    if stale := [key for key, used, _, _ in sound if key in kept and now - used > max_texts // 4]:
        _touch(database, stale)
    return kept, len(found) - len(kept)


def _is_sound(row: tuple[Any, ...], length: int) -> bool:
    key, used, checksum, vector = row
    if not (isinstance(key, bytes) and isinstance(used, int) and isinstance(vector, bytes)):
        return False
    return len(vector) == 4 * length and _checksum(key, vector) == checksum


def _touch(database: sqlite3.Connection, keys: list[bytes]) -> None:
    """Renew the times of use, unless the database is busy or read-only."""
    with suppress(sqlite3.OperationalError), database:
        database.execute('PRAGMA busy_timeout=0')
        database.execute('BEGIN IMMEDIATE')
        now = _clock(database) + 1
        database.executemany('UPDATE texts SET used = ? WHERE key = ?', [(now, key) for key in keys])


def _write(database: sqlite3.Connection, rows: list[tuple[bytes, bytes]], max_texts: int) -> None:
    """Store embeddings as bytes by key, and drop the least recently used ones beyond the limit."""
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
