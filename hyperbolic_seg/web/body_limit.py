"""Requests whose body is too large, refused before it fills memory or disk."""

from contextlib import suppress

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class TooLarge(Exception):
    """More of a body arrived than is taken."""


class BodyLimit:
    """Answers 413 to a request with a larger body, by its header, or as soon as more arrives.

    Args:
        app: What answers the others.
        most: Bytes of a body.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return
        said = dict(scope['headers']).get(b'content-length', b'0')
        if said.isdigit() and int(said) > self.most:
            await self._refuse(scope, receive, send)
            return
        arrived, begun = 0, False

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get('body', b''))
            if arrived > self.most:
                raise TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal begun
            if arrived > self.most and not begun:
                return  # what the application makes of the broken body
            begun = True
            await send(message)

        with suppress(TooLarge):
            await self.app(scope, counted, watched)
        if arrived > self.most and not begun:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f'the upload has more than {self.most / 2**20:.1f} MB: reduce the picture'
        await JSONResponse(dict(detail=detail), 413)(scope, receive, send)
