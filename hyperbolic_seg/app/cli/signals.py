"""Ctrl-C and SIGTERM, which end a command within seconds, whatever it is doing."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hyperbolic_seg.app.cli.console import tell

ENDING = (signal.SIGINT, signal.SIGTERM)
_SECONDS_TO_TELL = 0.2
"""Nobody may read what is told: then it is left unsaid."""


@contextmanager
def ended_by_signals(stop: threading.Event, *, grace: float, last_words: str) -> Iterator[None]:
    """Set an event at Ctrl-C and SIGTERM; end the process if the block is not left soon after, or at a second signal.

    Python runs handlers of signals in the main thread, between two of its instructions: never while it waits for a
    disk or decodes a picture. So a thread listens to what the interpreter writes to a socket when a signal arrives.
    It ends the process as a kill would, with exit code 0: nothing is cleaned up, and what the block writes must bear
    that. Only code that holds the interpreter's lock for long delays it.

    Blocks may stand within each other; the inner one counts. It must be entered in the main thread.

    Args:
        stop: Set at the first signal; the block leaves when it sees it.
        grace: Seconds from then until the process is ended.
        last_words: Said before that.
    """
    receiving, sending = socket.socketpair()
    sending.setblocking(False)
    listener = threading.Thread(target=_listen, args=(receiving, stop, grace, last_words), daemon=True)
    listener.start()
    before = signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _leave_to_the_listener) for number in ENDING}
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


def _listen(receiving: socket.socket, stop: threading.Event, grace: float, last_words: str) -> None:
    if not _asked(receiving):
        return
    stop.set()
    if _asked(receiving, grace) is False:
        return
    teller = threading.Thread(target=tell, args=(last_words,), daemon=True)
    teller.start()
    teller.join(_SECONDS_TO_TELL)
    os._exit(0)


def _asked(receiving: socket.socket, seconds: float | None = None) -> bool | None:
    """Wait for a signal that asks to end; return whether one came, and ``None`` if the time is over before."""
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        receiving.settimeout(None if end is None else max(0.001, end - time.monotonic()))  # 0 would not wait at all
        try:
            number = receiving.recv(1)
        except TimeoutError:
            return None
        if not number:
            return False  # the block is left
        if number[0] in ENDING:
            return True
