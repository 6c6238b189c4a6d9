"""Output of the commands: results on standard output, messages for people on standard error."""

import io
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from hyperbolic_seg.files import printable

if TYPE_CHECKING:  # rich costs a tenth of a second, and --version needs none of it
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

_HIDDEN_WARNINGS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning, ResourceWarning)
"""Warnings for the developers of a library, not for people who run a command."""
_UNHELPFUL = 'Fail to import ``MultiScaleDeformableAttention``'
"""Beginning of a warning of MMCV about an operator that no config here needs."""


@cache
def stderr_console() -> 'Console':
    """Return the console for progress, messages and errors; one object, so that a message does not cut a bar."""
    from rich.console import Console

    return Console(stderr=True)


def print_status(message: object) -> None:
    """Print a message to standard error, without wrapping, so that a path in it can be copied and searched for.

    Control characters are escaped. Line breaks are kept and the lines after them are indented: a name with a line break
    in it cannot imitate a message. Escape names with :func:`~hyperbolic_seg.files.printable`, which leaves no breaks.
    """
    stderr_console().print(plain(message), soft_wrap=True)


def fail(message: object) -> NoReturn:
    """Print an error and exit with code 2: nothing could be done."""
    stderr_console().print('error:', style='bold red', end=' ')
    print_status(message)
    raise typer.Exit(2)


def plain(message: object, style: str = '', *, indent: str = '  ') -> 'Text':
    """Return a text for a terminal, without markup and with control characters escaped.

    Args:
        message: One or more lines.
        style: Style of the whole text.
        indent: Indent of all lines but the first.
    """
    from rich.text import Text

    return Text(f'\n{indent}'.join(map(printable, str(message).split('\n'))), style)


def print_json(record: Any, *, indent: int | None = None) -> None:
    """Print a record for programs, unbuffered."""
    print(json.dumps(record, indent=indent, allow_nan=False), flush=True)  # ASCII: a file name may not be valid UTF-8


class _EscapedStderr(io.TextIOBase):
    """Standard error with control characters escaped, because libraries print file names as they are."""

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
def quiet(printed: set[str] | None = None) -> Iterator[None]:
    """Send the prints of libraries to standard error; print each warning once, as a message without source lines.

    Warnings for developers are hidden. The options -W and PYTHONWARNINGS override this.

    Args:
        printed: Warnings that were printed already. Give one set to several scopes to print none of them twice.
    """
    with noticed_warnings(set() if printed is None else printed), without_prints():
        yield


def without_prints() -> AbstractContextManager[object]:
    """Return a scope in which the prints of libraries go to standard error."""
    return redirect_stdout(_EscapedStderr())


@contextmanager
def noticed_warnings(printed: set[str]) -> Iterator[Callable[[], None]]:
    """Keep warnings until they are printed, each once, as :func:`quiet` does; also those of other threads.

    Args:
        printed: Warnings that were printed already; it grows.

    Yields:
        A function that prints those of until now. At the end of the scope the others are printed.
    """
    with warnings.catch_warnings(record=True) as caught:

        def print_warnings() -> None:
            messages = [' '.join(str(warning.message).split()) for warning in caught]
            caught.clear()
            for message in dict.fromkeys(messages):
                if message not in printed:
                    printed.add(message)
                    print_status(f'warning: {message}')

        if not sys.warnoptions:
            warnings.simplefilter('default')
            for category in _HIDDEN_WARNINGS:
                warnings.simplefilter('ignore', category)
            warnings.filterwarnings('ignore', message=_UNHELPFUL)
        try:
            yield print_warnings
        finally:
            print_warnings()


def print_notes(record: dict[str, Any], printed: set[str]) -> None:
    """Print what a record has to say to a person, each once; no option silences it.

    Args:
        record: A record, with or without ``notes``.
        printed: What was printed already; it grows.
    """
    for note in record.get('notes', ()):
        if note not in printed:
            printed.add(note)
            print_status(f'note: {note}')


def name_untimed(records: Iterator[dict[str, Any]], *, series: bool) -> Iterator[dict[str, Any]]:
    """Pass records on, and name the first image that has no time, although a time series or the sun needs it.

    Args:
        records: Records, with a ``time`` if there is a camera.
        series: A time series is asked for. Else a time matters where the place is known.
    """
    named = False
    for record in records:
        if not named and record.get('time', '') is None and (series or record.get('place')):
            named = True
            print_status(
                f'note: {printable(record["image"])} has no time, so no time series has it, and the sun in it is not '
                'masked: set time_format in the camera file to the pattern of its name (a time_format that is there '
                'does not match it), or keep the EXIF data. Other images without a time are not named'
            )
        yield record


def import_plugin() -> None:
    """Import MMSegmentation and the plugin, and drop what they print about optional packages.

    Raises:
        ImportError: A package of the whole installation is missing.
    """
    try:
        with redirect_stdout(io.StringIO()):
            from hyperbolic_seg import plugin  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{error}: models run by PyTorch need pip install 'hyperbolic-seg[mmseg,offline,imagenet,app]'; files of "
            'hyperbolic-seg export run without it, by --runtime onnx'
        ) from error


def progress() -> 'Progress':
    """Return a progress bar with the remaining time; silent if standard error is not a terminal.

    Descriptions are interpreted as markup: they must not hold file names.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = stderr_console()
    return Progress(*columns, console=console, disable=not console.is_terminal)
