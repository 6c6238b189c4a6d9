"""Ctrl-C and SIGTERM, which end a command within seconds, whatever it is doing."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

from hyperbolic_seg.app.cli.console import plain, stderr_console

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SECONDS_TO_PRINT = 0.2
"""Limit for printing the message; a terminal that nobody reads from may block it."""


@contextmanager
def ended_by_signals(stop: threading.Event, *, grace: float, message: str) -> Iterator[None]:
    """Set an event at Ctrl-C and SIGTERM; end the process if the block does not end in time, or at a second signal.

    Python runs signal handlers in the main thread between two of its instructions, so never while the thread waits for
    a disk or decodes an image. Therefore a thread listens to the socket that the interpreter writes signals to. It ends
    the process like a kill, with exit code 0: nothing is cleaned up, and the files of the block must tolerate that.
    Only code that holds the interpreter's lock for long delays it.

    Blocks may be nested; the inner one counts. Enter them in the main thread.

    Args:
        stop: Event that is set at the first signal; the block ends when it sees it.
        grace: Seconds from the signal until the process is ended.
        message: Message to print before the process is ended.
    """
    # Rich is imported here: after a signal, while the main thread imports the model, it could take seconds.
    show = partial(stderr_console().print, plain(message), soft_wrap=True)
    receiving, sending = socket.socketpair()
    sending.setblocking(False)
    listener = threading.Thread(target=_listen, args=(receiving, stop, grace, show), daemon=True)
    listener.start()
    before = signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _leave_to_the_listener) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set by Python
        signal.set_wakeup_fd(before)
        sending.close()
        listener.join()
        receiving.close()


def _leave_to_the_listener(number: int, frame: FrameType | None) -> None:
    """Do nothing: the signal is on the socket."""


def _listen(receiving: socket.socket, stop: threading.Event, grace: float, show: Callable[[], None]) -> None:
    if not _wait_for_signal(receiving):
        return
    stop.set()
    if _wait_for_signal(receiving, grace) is False:
        return
    printing = threading.Thread(target=show, daemon=True)
    printing.start()
    printing.join(_SECONDS_TO_PRINT)
    os._exit(0)


def _wait_for_signal(receiving: socket.socket, seconds: float | None = None) -> bool | None:
    """Wait for a signal; return whether one came before the block ended, and ``None`` after the time limit."""
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        receiving.settimeout(None if end is None else max(0.001, end - time.monotonic()))  # 0 would not wait at all
        try:
            number = receiving.recv(1)
        except TimeoutError:
            return None
        if not number:
            return False  # the block has ended
        if number[0] in SIGNALS:
            return True
