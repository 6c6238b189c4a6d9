"""Publishing the latest record by MQTT, for Home Assistant and whoever else subscribes."""

import json
import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from hyperbolic_seg.app.outputs.base import fault
from hyperbolic_seg.app.outputs.home_assistant import Announced, discovery, discovery_topic
from hyperbolic_seg.app.outputs.mqtt_address import MqttAddress
from hyperbolic_seg.app.outputs.safety import LIFETIME

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

_SECONDS_TO_CONNECT = 3.0
"""Seconds that the start waits for an answer of the broker, so that a wrong address is an error at once."""
_SECONDS_TO_CLOSE = 0.7
_SECONDS_TO_JOIN = 0.4
"""Limits of the end; with that of a webhook they fit into the seconds that a signal leaves to the command."""
_RETRY_SECONDS = (1, 60)
"""Shortest and longest time until the next try to connect; it doubles each time."""
_BUSY = frozenset({0x88, 0x89, 0x97, 0x9F})
"""Reasons of a refusal that pass: unavailable, busy, over its quota, too many connections (MQTT 5.0, 3.2.2.2)."""

_WITH_WILL = 0x04
"""Reason of a disconnection after which the broker publishes what it was left for the end (MQTT 5.0, 3.14.2.1)."""


class Message(NamedTuple):
    """The latest payload of a topic."""

    payload: bytes
    end: float | None = None
    """When it is out of date, on the monotonic clock."""


class MqttOutput:
    """Publishes each line of the journal, retained and at least once (QoS 1), below the prefix of an address.

    ``PREFIX/state`` has the latest record, ``PREFIX/safety`` what :meth:`publish_safety` takes, and
    ``PREFIX/availability`` is ``online`` or ``offline``, which the broker publishes if the process dies. Home Assistant
    is told of the sensors, see :mod:`~hyperbolic_seg.app.outputs.home_assistant`. The broker drops the state
    ``expire_after`` seconds after it came, and safety after its lifetime (the message expiry of MQTT 5), so that nobody
    takes old ones for new.

    No method waits for the broker, except for the start and the end, for seconds. If the broker goes away, the latest
    payload of each topic is kept, others are dropped, and all are published when it is back.

    Args:
        address: Where to publish.
        say: Called with messages for people: once when the broker cannot be reached or refuses, once when it is back.
        password: Password of the user of the address.

    Raises:
        ImportError: paho-mqtt is not installed.
        OSError: The broker refuses the user, the password or the protocol, or its certificate is not trusted.
        ValueError: There is a password, but no user.
    """

    def __init__(self, address: MqttAddress, say: Callable[[str], None], *, password: str | None = None) -> None:
        if password is not None and address.user is None:
            raise ValueError('there is a password for MQTT, but no user: expected mqtt://USER@HOST/PREFIX')
        self._address, self._say = address, say
        self._changed = threading.Condition()
        self._latest: dict[str, Message] = {}
        self._waiting: dict[str, None] = {}  # topics to publish, in the order in which they came
        self._answers: dict[int, str] = {}  # what the broker said to a message, by its number
        self._announced = Announced()
        self._connected = self._closing = False
        self._starting, self._refused = True, ''
        self._said: set[str] = set()  # since the last connection
        self._put(self._topic('availability'), b'online')
        self._client = self._make_client(password)
        self._sender = threading.Thread(target=self._run, name='mqtt', daemon=True)
        self._start()

    def add(self, line: dict[str, Any]) -> None:
        """Publish a line of the journal. Others, of what is no picture or will be tried again, are left out.

        Raises:
            ValueError: A number in it is not finite.
        """
        if 'version' not in line:
            return
        payload = _encode(line)
        with self._changed:
            self._announce(self._announced.after(line))
            self._put(self._topic('state'), payload, end=self._end())

    def publish_safety(self, state: dict[str, Any]) -> None:
        """Publish whether the sky is unsafe for an open roof; from any thread.

        The state is true for :data:`~hyperbolic_seg.app.outputs.safety.LIFETIME`, and has to come again before its end.

        Args:
            state: ``unsafe``, true or false, and a ``reason``.

        Raises:
            ValueError: It does not say whether it is unsafe.
        """
        if not isinstance(state.get('unsafe'), bool):
            raise ValueError(f'safety {state!r}: expected unsafe to be True or False')
        payload = _encode(state)
        with self._changed:
            self._announce(replace(self._announced, safety=True))
            self._put(self._topic('safety'), payload, end=time.monotonic() + LIFETIME.total_seconds())

    def close(self) -> None:
        """Publish that the camera is offline, and disconnect; an absent broker is not waited for."""
        self._put(self._topic('availability'), b'offline')
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting and self._connected), _SECONDS_TO_CLOSE)
            complete, self._closing = not self._waiting, True
            self._changed.notify_all()
        if not complete:
            self._report(f'the MQTT broker {self._address.broker} did not get the last messages')
        self._stop_client()
        self._sender.join(_SECONDS_TO_JOIN)

    def _make_client(self, password: str | None) -> 'Client':
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
        except ImportError as error:
            raise ImportError("publishing by MQTT needs paho-mqtt: pip install 'hyperbolic-seg[app]'") from error
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if self._address.user is not None:
            client.username_pw_set(self._address.user, password)
        if self._address.tls:
            client.tls_set_context(ssl.create_default_context())
        client.will_set(self._topic('availability'), b'offline', qos=1, retain=True)
        client.reconnect_delay_set(*_RETRY_SECONDS)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    def _start(self) -> None:
        self._client.connect_async(self._address.host, self._address.port, keepalive=30)
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._connected or self._said or self._refused, _SECONDS_TO_CONNECT)
            self._starting = False
            answered = self._connected or self._said
        if self._refused:
            self._stop_client()
            raise OSError(self._refused)
        if not answered:
            self._report(f'the MQTT broker {self._address.broker} does not answer; it is tried again and again')
        self._sender.start()

    def _stop_client(self) -> None:
        self._client.disconnect()
        # The thread of the client may be in a call of the system, such as for an address, which nothing ends.
        ending = threading.Thread(target=self._client.loop_stop, daemon=True)
        ending.start()
        ending.join(_SECONDS_TO_JOIN)

    def _on_connect(self, client: 'Client', userdata: None, flags: object, reason: 'ReasonCode', *rest: object) -> None:
        if reason.is_failure:
            self._fail(f'refuses the connection: {reason}', final=reason.value not in _BUSY)
            return
        with self._changed:
            back, self._connected = bool(self._said), True
            self._said.clear()
            self._waiting = dict.fromkeys(self._latest)  # a broker that was restarted may have kept nothing
            self._changed.notify_all()
        if back:
            self._say(f'the MQTT broker {self._address.broker} is reached now')

    def _on_connect_fail(self, client: 'Client', userdata: None) -> None:
        error = sys.exc_info()[1]  # the client calls this while it handles the error, and does not pass it on
        if isinstance(error, ssl.SSLCertVerificationError):
            advice = 'give the file of its authority by the environment variable SSL_CERT_FILE'
            self._fail(f'has a certificate that is not trusted ({error.verify_message}): {advice}', final=True)
        else:
            self._fail(f'cannot be reached ({error})', final=False)

    def _on_disconnect(
        self, client: 'Client', userdata: None, flags: object, reason: 'ReasonCode', *rest: object
    ) -> None:
        with self._changed:
            lost, self._connected = self._connected and not self._closing, False
            self._changed.notify_all()
        if lost:
            self._fail(f'is gone ({reason})', final=False)

    def _on_publish(self, client: 'Client', userdata: None, number: int, reason: 'ReasonCode', *rest: object) -> None:
        with self._changed:
            self._answers[number] = str(reason) if reason.is_failure else ''
            self._changed.notify_all()

    def _fail(self, what: str, *, final: bool) -> None:
        """Take a failure to connect: one that waiting does not mend ends the start."""
        message = f'the MQTT broker {self._address.broker} {what}'
        with self._changed:
            if ends := final and self._starting:
                self._refused = message
                self._changed.notify_all()
        if not ends:
            self._report(f'{message}; it is tried again and again')

    def _report(self, message: str) -> None:
        with self._changed:
            new = message not in self._said
            self._said.add(message)
            self._changed.notify_all()
        if new:
            self._say(message)

    def _topic(self, name: str) -> str:
        return f'{self._address.prefix}/{name}'

    def _end(self) -> float:
        return time.monotonic() + self._address.expire_after

    def _announce(self, announced: Announced) -> None:
        """Announce what a record has for the first time; until then the announcement of the last start holds."""
        if announced != self._announced:
            self._announced = announced
            self._put(discovery_topic(self._address), _encode(discovery(self._address, announced)))

    def _put(self, topic: str, payload: bytes, *, end: float | None = None) -> None:
        with self._changed:
            self._latest[topic] = Message(payload, end)
            self._waiting[topic] = None
            self._changed.notify_all()

    def _run(self) -> None:
        """Send what waits, until the end or a fault of the program; then the broker says that the camera is offline."""
        try:
            self._send_all()
        except Exception as error:
            from paho.mqtt.packettypes import PacketTypes
            from paho.mqtt.reasoncodes import ReasonCode

            self._report(f'nothing more is published by MQTT until the next start: {fault(error)}')
            with self._changed:
                self._closing = True
            self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=_WITH_WILL))

    def _send_all(self) -> None:
        while (topic := self._next_topic()) is not None:
            message = self._latest[topic]
            if message.end is None or message.end - time.monotonic() >= 1:
                self._send(topic, message)
            with self._changed:
                if self._latest[topic] is message:  # and no newer one
                    self._waiting.pop(topic, None)
                    self._changed.notify_all()

    def _next_topic(self) -> str | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing or (self._connected and self._waiting))
            return None if self._closing else next(iter(self._waiting))

    def _send(self, topic: str, message: Message) -> None:
        """Publish a message and wait until the broker has it, also across connections; one after the other.

        With one on its way at a time, an old one that is sent again cannot come after a newer one.
        """
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.PUBLISH)
        if message.end is not None:
            properties.MessageExpiryInterval = int(message.end - time.monotonic())
        sent = self._client.publish(topic, message.payload, qos=1, retain=True, properties=properties)
        with self._changed:
            self._changed.wait_for(lambda: self._closing or sent.mid in self._answers)
            refusal = self._answers.pop(sent.mid, '')
        if refusal:
            self._report(f'the MQTT broker {self._address.broker} refuses {topic}: {refusal}')


def _encode(record: dict[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False).encode()
