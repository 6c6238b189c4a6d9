"""Discovery of Alpaca servers by UDP: a client asks everybody on its network, and the server answers with its port."""

import ipaddress
import json
import socket
from contextlib import suppress
from threading import Event, Thread

DISCOVERY_PORT = 32227
QUESTION = b'alpacadiscovery1'
_PATIENCE = 0.2  # seconds, after which it looks whether it is closed


class Discovery:
    """Answers the question of clients for Alpaca servers, by IPv4.

    Several servers on a machine share the port. A server that only listens to its own machine answers nobody else.

    Args:
        host: Address that the server listens at.
        port: Its port.

    Raises:
        OSError: The port for questions cannot be shared.
    """

    def __init__(self, host: str, port: int) -> None:
        self._answer = json.dumps(dict(AlpacaPort=port)).encode()
        self._only_here = _is_loopback(host)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, 'SO_REUSEPORT'):  # other servers may have set it, which requires it of all
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._socket.bind(('', DISCOVERY_PORT))  # no other address receives broadcasts
        except OSError:
            self._socket.close()
            raise
        self._socket.settimeout(_PATIENCE)
        self._closed = Event()
        self._thread = Thread(target=self._run, name='alpaca discovery', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._closed.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            with suppress(OSError):  # nobody asked, or who asked is gone
                question, sender = self._socket.recvfrom(64)
                if question == QUESTION and (_is_loopback(sender[0]) or not self._only_here):
                    self._socket.sendto(self._answer, sender)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'
