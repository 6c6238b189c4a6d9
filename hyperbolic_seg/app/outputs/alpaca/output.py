"""The Alpaca server as an output of watch."""

import socket
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn

from hyperbolic_seg.app.outputs.alpaca.application import create_app
from hyperbolic_seg.app.outputs.alpaca.devices import Device, ObservingConditions, SafetyMonitor
from hyperbolic_seg.app.outputs.alpaca.discovery import Discovery
from hyperbolic_seg.app.outputs.safety import SafetyOutput
from hyperbolic_seg.app.web.limits import Limits
from hyperbolic_seg.app.web.server import protocol_class
from hyperbolic_seg.sky.camera import DOUBTS, Moment, SkyCamera

HOST, PORT = '127.0.0.1', 11111
"""Address of the server by default: this machine only, and the usual port of Alpaca."""
NO_PICTURE_MINUTES = 5.0
"""Age from which a picture tells no cloud cover, where the camera file has no rule."""
_SECONDS_TO_END = 1


class AlpacaOutput:
    """Serves the cloud cover of the last picture by Alpaca, and, where there is a rule, whether it is safe.

    It answers from threads of its own; without a rule there is no safety monitor, because nothing could say safe.

    Args:
        camera: The camera.
        safety: The state of safety, if the camera file has a rule; it takes the lines by itself.
        out_dir: Folder of the results, which makes the devices differ from those of other cameras.
        host: Address to listen at.
        port: Port; 0 takes a free one.
        on_error: Called with a message for people if clients cannot discover the server.
        clock: Function that returns the present.

    Raises:
        OSError: The address cannot be listened at.
    """

    def __init__(
        self,
        camera: SkyCamera,
        safety: SafetyOutput | None,
        out_dir: str | Path,
        *,
        host: str = HOST,
        port: int = PORT,
        on_error: Callable[[str], None],
        clock: Callable[[], Moment] = Moment.now,
    ) -> None:
        rule = camera.unsafe
        minutes, quality = (NO_PICTURE_MINUTES, DOUBTS) if rule is None else (rule.no_picture_minutes, rule.quality)
        place = f'{socket.gethostname()}:{Path(out_dir).resolve()}'
        ids = {kind: str(uuid.uuid5(uuid.NAMESPACE_URL, f'{place}:{kind}')) for kind in ('safety', 'clouds')}
        self._clouds = ObservingConditions(minutes, quality, unique_id=ids['clouds'], clock=clock)
        devices: list[Device] = [self._clouds]
        if safety is not None:
            devices.insert(0, SafetyMonitor(safety.safety, unique_id=ids['safety'], clock=clock))
        limits = Limits(json_bytes=10_000)
        app = create_app(devices, limits=limits, location=_location(camera))
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ':' in host else socket.AF_INET)
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=protocol_class(limits),
            ws='none',
            lifespan='off',
            log_level='warning',
            server_header=False,
            timeout_graceful_shutdown=_SECONDS_TO_END,
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, kwargs=dict(sockets=[listening]), name='alpaca', daemon=True)
        self._thread.start()
        self._discovery: Discovery | None = None
        try:
            self._discovery = Discovery(host, self.port)
        except OSError as error:
            on_error(f'Alpaca clients cannot discover this server, and need its address: {error}')

    def add(self, line: Mapping[str, Any]) -> None:
        """Take a line of watch."""
        self._clouds.add(line)

    def close(self) -> None:
        """Stop answering."""
        if self._discovery is not None:
            self._discovery.close()
        self._server.should_exit = True
        self._thread.join(2 * _SECONDS_TO_END)


def parse_address(text: str) -> tuple[str, int]:
    """Return the host and the port of ``PORT``, ``HOST`` or ``HOST:PORT``; an IPv6 address stands in brackets.

    Raises:
        ValueError: It is none of these.

    Example:
        >>> parse_address('11112'), parse_address('0.0.0.0'), parse_address('[::1]:80')
        (('127.0.0.1', 11112), ('0.0.0.0', 11111), ('::1', 80))
    """
    host, colon, port = text.rpartition(':')
    if text.isdecimal():
        host, port = HOST, text
    elif not colon or text.endswith(']'):
        host, port = text, str(PORT)
    bare = host.removeprefix('[').removesuffix(']')
    if not bare or not (port.isascii() and port.isdecimal() and int(port) < 2**16) or (':' in bare and bare == host):
        raise ValueError(f'{text!r} is no address: expected PORT, HOST or HOST:PORT, such as 0.0.0.0:{PORT}')
    return bare, int(port)


def _location(camera: SkyCamera) -> str:
    if camera.latitude is None or camera.longitude is None:
        return 'not given'
    return f'{camera.latitude:g} degrees north, {camera.longitude:g} degrees east'
