"""What the commands share in speaking to people and to machines."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from hyperbolic_seg.files import printable

people = Console(stderr=True)
"""Where progress, tables of the way and errors go, so that standard output holds results alone."""


def tell(message: object) -> None:
    """Say a line to people; it is not folded, so that a path in it can be copied and searched for.

    Control characters are escaped. Line breaks are kept, with what follows them further in: a name that holds one
    cannot pass for a message. Escape names with :func:`~hyperbolic_seg.files.printable`, which leaves none in them.
    """
    people.print(plain(message), soft_wrap=True)


def fail(message: object) -> NoReturn:
    """Say what is wrong and leave with 2: nothing could be done."""
    people.print('error:', style='bold red', end=' ')
    tell(message)
    raise typer.Exit(2)


def plain(message: object, style: str = '', *, indent: str = '  ') -> Text:
    """Return what a terminal shows of a text as it is: without markup, and without control characters.

    Args:
        message: Lines.
        style: Of all of it.
        indent: Of all lines but the first.
    """
    return Text(f'\n{indent}'.join(map(printable, str(message).split('\n'))), style)


def say_json(record: Any, *, indent: int | None = None) -> None:
    """Print a record for machines, at once."""
    print(json.dumps(record, indent=indent, allow_nan=False), flush=True)  # in ASCII: a name may be no UTF-8


class _Printed(io.TextIOBase):
    """Standard error, with control characters escaped: libraries print names of files as they are."""

    def write(self, text: str) -> int:
        sys.stderr.write(''.join(c if c in '\n\t' else printable(c) for c in text))
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def fileno(self) -> int:
        return sys.stderr.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return sys.stderr.encoding


@contextmanager
def quiet() -> Iterator[None]:
    """Send what libraries print to standard error."""
    with redirect_stdout(_Printed()):
        yield


def progress() -> Progress:
    """Make a bar that shows what is done and how long the rest takes; silent where nobody watches.

    Its descriptions are shown as they are: they hold no names of files.
    """
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=people, disable=not people.is_terminal)
