"""Files: found by name, opened only if they are regular, written as a whole, named without control characters."""

import hashlib
import os
import re
import shutil
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import BinaryIO

PICTURE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
FITS_SUFFIXES = tuple(f'{suffix}{packed}' for suffix in ('.fit', '.fits', '.fts') for packed in ('', '.fz', '.gz'))
RAW_SUFFIXES = ('.arw', '.cr2', '.cr3', '.dng', '.nef', '.orf', '.raf', '.rw2')
IMAGE_SUFFIXES = (*PICTURE_SUFFIXES, *FITS_SUFFIXES, *RAW_SUFFIXES)
PART_SUFFIX = '.part'
"""Suffix of the hidden folders that hold files while they are written; a killed process leaves its own."""
_PART = re.compile(rf'\.[a-z0-9_]+{re.escape(PART_SUFFIX)}')
"""Their names, as ``tempfile`` makes them."""

_KINDS = (
    (stat.S_ISDIR, 'a folder'),
    (stat.S_ISFIFO, 'a FIFO'),
    (stat.S_ISSOCK, 'a socket'),
    (stat.S_ISCHR, 'a device'),
    (stat.S_ISBLK, 'a device'),
)
_BEGIN_FORMULAS = ('=', '+', '-', '@', '＝', '＋', '－', '＠')
"""Spreadsheets take a cell that begins so for a formula, those of East Asia the wide ones too."""


def kind_of_file(mode: int) -> str | None:
    """Return what the mode of a file says it is, such as ``'a FIFO'``; ``None`` for a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((name for test, name in _KINDS if test(mode)), 'a special file')


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; an unchanged file is read once."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file for reading if it is a regular one; a FIFO or a device is refused at once, and never waited for.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is no regular file.
    """
    flags = os.O_RDONLY | getattr(os, 'O_NONBLOCK', 0) | getattr(os, 'O_BINARY', 0) | getattr(os, 'O_CLOEXEC', 0)
    try:
        number = os.open(path, flags)
    except OSError as error:
        try:  # a socket cannot be opened at all
            kind = kind_of_file(os.stat(path).st_mode)
        except OSError:
            raise error from None
        if kind is None:
            raise
        raise ValueError(f'{path} is {kind}: expected a regular file') from error
    if kind := kind_of_file(os.fstat(number).st_mode):
        os.close(number)
        raise ValueError(f'{path} is {kind}: expected a regular file')
    return os.fdopen(number, 'rb')


def read_regular(path: str | Path, *, max_bytes: int) -> bytes:
    """Read a regular file of bounded size.

    Args:
        path: The file.
        max_bytes: A larger one is refused before it is read.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no regular file, or too large.
    """
    with open_regular(path) as file:
        return read_bounded(file, path, max_bytes=max_bytes)


def read_bounded(file: BinaryIO, path: str | Path, *, max_bytes: int) -> bytes:
    """Read an open file of :func:`open_regular` from its beginning.

    Args:
        file: The file.
        path: Its path, for errors.
        max_bytes: A larger one is refused before it is read.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large.
    """
    file.seek(0)
    content = file.read(max_bytes + 1) if os.fstat(file.fileno()).st_size <= max_bytes else None
    if content is None or len(content) > max_bytes:
        raise ValueError(f'{path} has more than {max_bytes} bytes: expected a smaller file')
    return content


@contextmanager
def whole_file(path: str | Path, *, name: str | None = None) -> Iterator[Path]:
    """Yield a temporary path to write to; on success the file moves to its place, on an error it is removed.

    Readers see the whole file or none, also after a power cut. The temporary file is in a private folder of an
    unguessable name beside the target, so no link that somebody else made is followed. A link in place of the target is
    replaced.

    Args:
        path: The target, in a folder that exists.
        name: Name of the temporary file; by default that of the target, by whose suffix writers choose the format.

    Raises:
        OSError: The file cannot be written.
    """
    path = Path(path)
    with TemporaryDirectory(prefix='.', suffix=PART_SUFFIX, dir=path.parent) as folder:
        part = Path(folder) / (name or path.name)
        yield part
        with part.open('r+b') as file:
            os.fsync(file.fileno())
        os.replace(part, path)


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file as a whole; see :func:`whole_file`.

    Raises:
        OSError: It cannot be written.
    """
    # Without the suffix of an image, no part that a killed process leaves is taken for one.
    with whole_file(path, name='part') as part:
        part.write_bytes(content)


def remove_parts(folder: str | Path) -> None:
    """Remove what killed processes left of :func:`whole_file` in a folder and its subfolders; links are not followed.

    Call it while no other process writes there.
    """
    for parent, folders, _ in os.walk(folder):
        for name in filter(_PART.fullmatch, tuple(folders)):
            folders.remove(name)
            # One that cannot be removed costs a little of the disk, and is in nobody's way.
            shutil.rmtree(Path(parent, name), ignore_errors=True)


def own_path(folder: str | Path, *names: str) -> Path:
    """Return a path below a folder of results, if nothing on the way to it leads elsewhere.

    The folder itself may be a link, which is for its owner to choose; what others put below it is not followed.

    Args:
        folder: Folder of results.
        names: Joined with slashes, the last one of a file, which need not be there.

    Raises:
        OSError: Below the folder a part of the path is a link, or in place of the file is something else.
        ValueError: A name leads out of the folder.
    """
    for name in names:
        if PurePath(name).anchor or '..' in PurePath(name).parts:
            raise ValueError(f'{name} leads out of the folder {folder}: expected a name below it, without ".."')
    path, mode = Path(folder), None
    for part in PurePath(*names).parts:
        path = path / part
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            mode = None
        if mode is not None and stat.S_ISLNK(mode):
            raise OSError(f'{path} is a link, and results are written through none: remove it')
    if mode is not None and (kind := kind_of_file(mode)):
        raise OSError(f'{path} is {kind}, in the place of a file of results: remove it')
    return path


def open_own(path: str | Path, *, append: bool = False) -> int:
    """Open a file of results for reading and writing: a regular one, made if need be, and never through a link.

    Args:
        path: The file.
        append: Keep what it holds, and write behind it. Else it is emptied.

    Returns:
        A descriptor, for :func:`os.fdopen`.

    Raises:
        OSError: It cannot be opened, is a link or is no regular file.
    """
    flags = os.O_RDWR | os.O_CREAT | (os.O_APPEND if append else 0)
    for name in ('O_NOFOLLOW', 'O_NONBLOCK', 'O_BINARY', 'O_CLOEXEC'):  # what the system has of them
        flags |= getattr(os, name, 0)
    number = os.open(path, flags, 0o666)
    try:
        if kind := kind_of_file(os.fstat(number).st_mode):
            raise OSError(f'{path} is {kind}, in the place of a file of results: remove it')
        if not append:
            os.ftruncate(number, 0)
    except OSError:
        os.close(number)
        raise
    return number


def reason_of(error: object) -> str:
    """Return the message of an error for people: on one line, printable, without addresses of objects in memory.

    Example:
        >>> reason_of(ValueError('cannot read <_io.BytesIO object at 0x7f28269bc400>'))
        'cannot read the content'
    """
    text = re.sub(r'<[\w.]+ object at 0x[0-9a-fA-F]+>', 'the content', str(error))
    text = ' '.join(re.sub(r' at 0x[0-9a-fA-F]+', '', text).split())
    return printable(text) or type(error).__name__


def table_cell(text: object, *, lead: str = "'") -> str:
    r"""Return a text for a cell of a CSV table: control characters escaped, and no formula to a spreadsheet.

    Bytes that are no UTF-8 are kept, for a table that is written with ``errors='surrogateescape'``.

    Args:
        text: Untrusted text; numbers need no such care.
        lead: What is put before a text that would be a formula: ``'./'`` before a path keeps it the same path.

    Example:
        >>> table_cell('=1+1.jpg', lead='./'), table_cell('a\x1b.jpg')
        ('./=1+1.jpg', 'a\\x1b.jpg')
    """
    kept = ''.join(c if '\udc80' <= c <= '\udcff' else printable(c) for c in str(text))
    return lead + kept if kept.startswith(_BEGIN_FORMULAS) else kept


def printable(text: object) -> str:
    r"""Return a text with its control characters escaped, line breaks among them, for terminals and logs.

    Example:
        >>> printable('a\x1b[31m\n.jpg')
        'a\\x1b[31m\\n.jpg'
    """
    return ''.join(_escaped(character) if _is_control(character) else character for character in str(text))


def _is_control(character: str) -> bool:
    # Cc: control; Cf: format, such as marks that turn the direction of writing; Cs: bytes that are no UTF-8;
    # Zl, Zp: line and paragraph separators.
    return unicodedata.category(character) in ('Cc', 'Cf', 'Cs', 'Zl', 'Zp')


def _escaped(character: str) -> str:
    return character.encode('unicode_escape').decode('ascii')


def is_image_name(name: str) -> bool:
    """Return whether a file has one of the suffixes of images, in any case."""
    return name.lower().endswith(IMAGE_SUFFIXES) and name.lower() not in IMAGE_SUFFIXES


def images_in(folder: str | Path, *, without: str | Path | None = None) -> list[str]:
    """List the image files of a folder and its subfolders, sorted.

    Args:
        folder: The folder.
        without: A folder to leave out, such as that of results.

    Raises:
        FileNotFoundError: There is none.
    """
    left_out = None if without is None else os.path.realpath(without)  # other than resolve(), bears a link to itself
    images = (path for path in Path(folder).rglob('*') if is_image_name(path.name))
    found = sorted(str(p) for p in images if left_out is None or not Path(os.path.realpath(p)).is_relative_to(left_out))
    if not found:
        raise FileNotFoundError(f'no image in {folder}; looked for {", ".join(IMAGE_SUFFIXES)}')
    return found


def output_names(paths: Sequence[str]) -> list[str]:
    """Return a distinct name for the outputs of every image: its stem, or its path where stems collide."""
    stems = [Path(path).stem for path in paths]
    taken = Counter(stems)
    if all(count == 1 for count in taken.values()):
        return stems
    absolute = [os.path.abspath(path) for path in paths]
    common = os.path.commonpath([os.path.dirname(path) for path in absolute])
    names = [os.path.relpath(path, common).replace(os.sep, '__') for path in absolute]
    return [stem if taken[stem] == 1 else name for stem, name in zip(stems, names, strict=True)]
