"""What the commands share in speaking to people and to machines."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

people = Console(stderr=True)
"""Where progress, tables of the way and errors go, so that standard output holds results alone."""


def tell(message: object) -> None:
    """Say a line to people; it is not folded, so that a path in it can be copied and searched for."""
    people.print(message, markup=False, highlight=False, soft_wrap=True)


def fail(message: object) -> NoReturn:
    """Say what is wrong and leave with 2: nothing could be done."""
    people.print('error:', style='bold red', end=' ')
    tell(message)
    raise typer.Exit(2)


def say_json(record: Any, *, indent: int | None = None) -> None:
    """Print a record for machines, at once."""
    print(json.dumps(record, indent=indent, allow_nan=False), flush=True)  # in ASCII: a name may be no UTF-8


@contextmanager
def quiet() -> Iterator[None]:
    """Send what libraries print to standard error."""
    with redirect_stdout(sys.stderr):
        yield


def progress() -> Progress:
    """Make a bar that shows what is done and how long the rest takes; silent where nobody watches."""
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=people, disable=not people.is_terminal)
