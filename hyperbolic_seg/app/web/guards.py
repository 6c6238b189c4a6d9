"""ASGI middleware before the application: each guard refuses one kind of request before it causes any work."""

import asyncio
import ipaddress
from collections import Counter
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hyperbolic_seg.app.web.limits import RETRY_AFTER, Limits

UPLOADS = '/api/images'
"""The path for uploads; all others take JSON."""
ENVELOPE = 2**14
"""Bytes of an upload beside those of the image."""
SECURITY_HEADERS = {
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'no-store',
}
"""Headers of every answer that does not set them itself."""
_DEFAULT_PORTS = {'http': ':80', 'https': ':443'}
_SAFE_METHODS = ('GET', 'HEAD', 'OPTIONS')


class SecurityHeaders:
    """Adds :data:`SECURITY_HEADERS` to every answer.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def with_headers(message: Message) -> None:
            if message['type'] == 'http.response.start':
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers if scope['type'] == 'http' else send)


class SameOrigin:
    """Refuses requests from pages of other origins: other sites, and other ports of the same host.

    A browser sends the origin of a page with every request that may change something. Programs send none, and pass.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope['type'] == 'http' and scope['method'] not in _SAFE_METHODS and _is_foreign(Headers(scope=scope)):
            await _refuse(403, 'a page of another origin sent this request')(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_foreign(headers: Headers) -> bool:
    host = headers.get('host', '').lower()
    if any(_host_of(origin) != host for origin in headers.getlist('origin')):
        return True
    return headers.get('sec-fetch-site', 'none') not in ('same-origin', 'none')


def _host_of(origin: str) -> str | None:
    """Return the host and port of an origin as in a ``Host`` header, ``None`` without a host."""
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return None
    return parts.netloc.removesuffix(_DEFAULT_PORTS.get(parts.scheme, '')) or None


class RequestLimit:
    """Answers 503 with ``Retry-After`` at too many concurrent requests, of all clients or of one.

    Args:
        app: The application.
        limits: Limits of the server.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits
        self._active: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return
        client = client_of(scope)
        if self._active[client] >= self.limits.requests_of_client or self._active.total() >= self.limits.requests:
            answer = _refuse(503, 'too many requests at a time: try again later', {'Retry-After': RETRY_AFTER})
            await answer(scope, receive, send)
            return
        self._active[client] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._active[client] -= 1
            self._active += Counter()  # removes clients without requests


class BodyLimit:
    """Answers 411 to a body without a length, 413 to one that is too large, and 408 to one that is late.

    Args:
        app: The application.
        limits: Limits of the server.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return
        most, detail = self.limits.json_bytes, f'the body has more than {self.limits.json_bytes} bytes: send less'
        if scope['path'] == UPLOADS:
            most = int(self.limits.megabytes * 2**20) + ENVELOPE
            detail = f'the upload has more than {self.limits.megabytes:g} MB: reduce the image'
        too_large, headers = _refuse(413, detail), Headers(scope=scope)
        if 'transfer-encoding' in headers:  # each tiny chunk of a body costs the event loop more than its sender
            unknown = _refuse(411, 'the body comes in chunks: send its Content-Length', {'Connection': 'close'})
            await unknown(scope, receive, send)
            return
        declared = headers.get('content-length', '')
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > most):
            await too_large(scope, receive, send)
            return
        body = _Body(receive, send, most, self.limits.body_seconds)
        with suppress(_TooLarge, TimeoutError, asyncio.TimeoutError):
            await self.app(scope, body.receive, body.send)
        if body.broken is not None and not body.answered:
            within = f'the body did not arrive within {self.limits.body_seconds:g} s'
            late = _refuse(408, within, {'Connection': 'close'})
            await (too_large if body.broken is _TooLarge else late)(scope, receive, send)


class _TooLarge(Exception):
    """The body is above the limit."""


class _Body:
    """Counts the bytes of a body, limits the time for it, and suppresses the answer to an incomplete body."""

    def __init__(self, receive: Receive, send: Send, most: int, seconds: float) -> None:
        self._receive, self._send = receive, send
        self._left, self._until = most, asyncio.get_running_loop().time() + seconds
        self._whole = False
        self.broken: type[Exception] | None = None
        self.answered = False

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()  # waits for the client to disconnect
        seconds = self._until - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(self._receive(), max(seconds, 0))
        except (TimeoutError, asyncio.TimeoutError):
            self.broken = TimeoutError
            raise
        self._left -= len(message.get('body', b''))
        self._whole = not message.get('more_body', False)
        if self._left < 0:
            self.broken = _TooLarge
            raise _TooLarge
        return message

    async def send(self, message: Message) -> None:
        if self.broken is not None and not self.answered:
            return
        self.answered = True
        await self._send(message)


def client_of(scope: Scope) -> str:
    """Return the identity of a client: its address, for IPv6 the network of its site."""
    host = (scope.get('client') or ('local', 0))[0]
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        if address.version == 6 and address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, 64), strict=False))
    return host


def _refuse(status: int, detail: str, headers: dict[str, str] | None = None) -> Any:
    return JSONResponse(dict(detail=detail), status, headers)
