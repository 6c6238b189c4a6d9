"""The protocol of outputs, and several outputs as one."""

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from hyperbolic_seg.files import reason_of

EXPECTED = (OSError, RuntimeError, ValueError, MemoryError)
"""Errors that an output recovers from: the next line may be passed on again."""


class Output(Protocol):
    """Takes the lines of :func:`~hyperbolic_seg.app.watching.watch`, in their order, and passes them on."""

    def add(self, line: dict[str, Any]) -> None:
        """Take a line: a record with ``name`` and ``version``, or one with ``error`` or ``skipped``.

        Raises:
            OSError, RuntimeError, ValueError: It cannot be passed on.
        """

    def close(self) -> None:
        """Finish what is begun, and stop."""


class Outputs:
    """Several outputs as one. What one of them fails at keeps nothing from the others, and is said.

    An error of a kind that no output expects is a fault in the program, which may have left the output with half of a
    line. It is broken then, and gets no more lines until the next start, so that it tells nothing that is wrong. What
    it told last runs out by itself, because each output says for how long it holds.

    Args:
        outputs: They are closed in the opposite order.
        on_error: Called with a message for people, once in a row for each.
    """

    def __init__(self, outputs: Sequence[Output], on_error: Callable[[str], None]) -> None:
        self._outputs = tuple(outputs)
        self._on_error = on_error
        self._failed: dict[int, str] = {}
        self._broken: set[int] = set()

    def add(self, line: dict[str, Any]) -> None:
        """Hand a line to each output."""
        for number, output in enumerate(self._outputs):
            if number in self._broken:
                continue
            try:
                output.add(line)
            except EXPECTED as error:
                self._report(number, output, error)
            except Exception as error:  # nothing of an output may end what watches the sky for the others
                self._broken.add(number)
                told = f'{type(output).__name__} is broken, and is told of no more images until the next start'
                self._on_error(f'{told}: {fault(error)}')
            else:
                self._failed.pop(number, None)

    def close(self) -> None:
        """Close each output."""
        for number, output in reversed([*enumerate(self._outputs)]):
            try:
                output.close()
            except EXPECTED as error:
                self._report(number, output, error)
            except Exception as error:  # a broken one may not even close
                self._on_error(f'{type(output).__name__} could not be closed: {fault(error)}')

    def __enter__(self) -> 'Outputs':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _report(self, number: int, output: Output, error: Exception) -> None:
        message = f'{type(output).__name__}: {" ".join(str(error).split()) or type(error).__name__}'
        if self._failed.get(number) != message:
            self._failed[number] = message
            self._on_error(message)


def fault(error: Exception) -> str:
    """Return the last line of the traceback of an error, and where in the program it was raised.

    Example:
        >>> fault(TypeError('no number'))
        'TypeError: no number'
    """
    line = reason_of(traceback.format_exception_only(error)[-1])
    places = traceback.extract_tb(error.__traceback__)
    return f'{line} ({Path(places[-1].filename).name}, line {places[-1].lineno})' if places else line
