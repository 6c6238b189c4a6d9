"""Files of strangers: opened only if they are regular, written as a whole, and named without control characters."""

import os
import secrets
import stat
import unicodedata
from pathlib import Path
from typing import BinaryIO

_KINDS = (
    (stat.S_ISDIR, 'a folder'),
    (stat.S_ISFIFO, 'a FIFO'),
    (stat.S_ISSOCK, 'a socket'),
    (stat.S_ISCHR, 'a device'),
    (stat.S_ISBLK, 'a device'),
)


def kind_of_file(mode: int) -> str | None:
    """Return what the mode of a file says it is, such as ``'a FIFO'``; ``None`` for a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((name for test, name in _KINDS if test(mode)), 'a special file')


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
        content = file.read(max_bytes + 1) if os.fstat(file.fileno()).st_size <= max_bytes else None
    if content is None or len(content) > max_bytes:
        raise ValueError(f'{path} has more than {max_bytes} bytes: expected a smaller file')
    return content


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file; readers see the whole file or none, also after a power cut. A link in its place is replaced.

    Raises:
        OSError: It cannot be written.
    """
    path = Path(path)
    # A new file of an unguessable name: what somebody else has put beside it is not written through.
    part = path.with_name(f'.{secrets.token_hex(12)}.part')
    try:
        with part.open('xb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


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
