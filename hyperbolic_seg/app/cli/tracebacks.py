"""The option ``--tracebacks``: where in the program the prediction of an image failed."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from hyperbolic_seg.app.cli.console import print_status

Tracebacks = Annotated[
    bool, typer.Option('--tracebacks', help='Print where in the program the prediction of an image failed.')
]


class _Printer(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print_status(self.format(record))


@contextmanager
def printing(wanted: bool) -> Iterator[None]:
    """Print the traceback of each image that fails to standard error within a block, if it is wanted."""
    if not wanted:
        yield
        return
    from hyperbolic_seg.app.failures import LOGGER

    handler, level = _Printer(), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        LOGGER.setLevel(level)
        LOGGER.removeHandler(handler)
