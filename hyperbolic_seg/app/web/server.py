"""The HTTP server, with time limits for connections and for its shutdown."""

import asyncio
import os
import signal
import socket
import threading
from types import FrameType
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from hyperbolic_seg.app.web.limits import Limits

SECONDS_TO_END = 4.0
"""Time between a signal and the end of the process, even while a request is in progress."""
_HEADER_BYTES = 2**14
_PIECE = 2**10
"""Bytes that are parsed at a time until the header of a request is complete."""


def run(app: FastAPI, listening: socket.socket, limits: Limits) -> None:
    """Serve an application on a socket until Ctrl-C or SIGTERM.

    Args:
        app: The application.
        listening: A listening socket.
        limits: Limits of the server.
    """
    config = uvicorn.Config(
        app,
        http=protocol_class(limits),
        ws='none',
        log_level='warning',
        server_header=False,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=_HEADER_BYTES,
    )
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again after its shutdown
        signal.signal(number, lambda *_: None)
    _Server(config).run(sockets=[listening])


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown; a running prediction cannot be stopped, and is not waited for."""
        super().handle_exit(sig, frame)
        timer = threading.Timer(SECONDS_TO_END, os._exit, [0])
        timer.daemon = True
        timer.start()


def protocol_class(limits: Limits) -> type[asyncio.Protocol]:
    """Return a class of :class:`TimedProtocol` with these limits, as uvicorn takes a class."""

    class Protocol(TimedProtocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, limits=limits, **kwargs)

    return Protocol


class TimedProtocol(H11Protocol):
    """HTTP/1.1 with a time limit for a client to send the header of a request, and to receive an answer.

    Args:
        limits: Limits of the server.
    """

    def __init__(self, *args: Any, limits: Limits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._dropping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Limit the time to the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Receive a part of a request; the body of a chunked one, which is refused, is not even parsed."""
        while data and not self._dropping and self.conn.their_state is h11.IDLE:
            super().data_received(data[:_PIECE])
            data = data[_PIECE:]
            self._dropping = self._is_chunked()
        if data and not self._dropping:
            super().data_received(data)
        self._watch()

    def _is_chunked(self) -> bool:
        has_body = self.conn.their_state is h11.SEND_BODY
        return has_body and any(name == b'transfer-encoding' for name, _ in self.headers)

    def pause_writing(self) -> None:
        """Limit the time for the client to receive what waits."""
        super().pause_writing()
        self._limit_write()

    def resume_writing(self) -> None:
        """Stop the timer: the client has received what waited."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_write()

    def on_response_complete(self) -> None:
        """Limit the time for the client to receive the end of the last answer."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._limit_write()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection without a new request, even if the client has not received the last answer."""
        super().timeout_keep_alive_handler()
        self._start(self._limits.answer_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers of the connection."""
        super().connection_lost(exc)
        self._stop()
        self._stop_write()

    def _watch(self) -> None:
        if self.conn.their_state is h11.IDLE:
            if self._timer is None and self.timeout_keep_alive_task is None:
                self._start(self._limits.header_seconds)
        elif self.conn.our_state is h11.DONE:
            # Answered already, such as by 413: the rest of the body is read and dropped, or the answer would be lost.
            if self._timer is None:
                self._start(self._limits.body_seconds)
        else:
            self._stop()

    def _start(self, seconds: float) -> None:
        self._stop()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _limit_write(self) -> None:
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self._limits.answer_seconds, self.transport.abort)

    def _stop_write(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
