"""The protocol of outputs, and several outputs as one."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol


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

    Args:
        outputs: They are closed in the opposite order.
        on_error: Called with a message for people, once in a row for each.
    """

    def __init__(self, outputs: Sequence[Output], on_error: Callable[[str], None]) -> None:
        self._outputs = tuple(outputs)
        self._on_error = on_error
        self._failed: dict[int, str] = {}

    def add(self, line: dict[str, Any]) -> None:
        """Hand a line to each output."""
        for number, output in enumerate(self._outputs):
            try:
                output.add(line)
            except (OSError, RuntimeError, ValueError) as error:
                self._report(number, output, error)
            else:
                self._failed.pop(number, None)

    def close(self) -> None:
        """Close each output."""
        for number, output in reversed([*enumerate(self._outputs)]):
            try:
                output.close()
            except (OSError, RuntimeError, ValueError) as error:
                self._report(number, output, error)

    def __enter__(self) -> 'Outputs':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _report(self, number: int, output: Output, error: Exception) -> None:
        message = f'{type(output).__name__}: {" ".join(str(error).split()) or type(error).__name__}'
        if self._failed.get(number) != message:
            self._failed[number] = message
            self._on_error(message)
