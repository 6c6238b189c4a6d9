"""The other ends of the outputs: a broker with a subscriber, a server for the webhook, and a client of Alpaca."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.create_server(('127.0.0.1', 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Run mosquitto; yield its port."""
    program = shutil.which('mosquitto') or shutil.which('mosquitto', path='/usr/sbin:/usr/local/sbin')
    if program is None:
        raise SystemExit('mosquitto is not installed')
    port, config = free_port(), folder / 'mosquitto.conf'
    config.write_text(f'listener {port} 127.0.0.1\nallow_anonymous true\n')
    process = subprocess.Popen([program, '-c', str(config)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield port
    finally:
        process.terminate()
        process.wait()


class Subscriber:
    """A client of the broker; ``messages`` are topics and payloads, in their order."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe('sky/#', options=SubscribeOptions(qos=1))
        self._client.on_message = lambda client, _, message: self.messages.append((message.topic, message.payload))
        self._client.connect('127.0.0.1', port)
        self._client.loop_start()

    def of(self, topic: str) -> list[bytes]:
        """Return the payloads of a topic."""
        return [payload for each, payload in self.messages if each == topic]

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


class Receiver(ThreadingHTTPServer):
    """The server of the webhook; ``posts`` are paths, keys and bodies, in their order."""

    daemon_threads = True

    def __init__(self) -> None:
        self.posts: list[tuple[str, str, bytes]] = []
        super().__init__(('127.0.0.1', 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def of(self, path: str) -> list[tuple[str, bytes]]:
        """Return keys and bodies of a path."""
        return [(key, body) for each, key, body in self.posts if each == path]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = 'HTTP/1.1'

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers['Content-Length']))
        self.server.posts.append((self.path, self.headers['Idempotency-Key'], body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def is_safe(port: int) -> bool | None:
    """Ask Alpaca, as a client does that has connected; return ``None`` if nobody answers."""
    device, client = f'http://127.0.0.1:{port}/api/v1/safetymonitor/0', dict(ClientID=1, ClientTransactionID=1)
    try:
        httpx.put(f'{device}/connected', data=client | dict(Connected=True), timeout=10).raise_for_status()
        answer = httpx.get(f'{device}/issafe', params=client, timeout=10).json()
    except httpx.TransportError:
        return None
    if answer['ErrorNumber']:
        raise RuntimeError(f'Alpaca answers {answer}')
    return bool(answer['Value'])
