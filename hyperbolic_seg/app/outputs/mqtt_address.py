"""The address of an MQTT broker and the topics below it, in one URL."""

import re
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

PORTS = {'mqtt': 1883, 'mqtts': 8883}
"""Schemes and their ports, as registered with IANA; ``mqtts`` is MQTT within TLS."""
EXPIRE_AFTER = 900
"""Seconds after which a value is no longer shown, if the URL says nothing."""

_EXAMPLE = 'mqtt://user@host:1883/sky/roof'
_LONGEST = 200  # characters; a topic may have 65535 bytes
_MOST_SECONDS = 10**7


class MqttAddress(NamedTuple):
    """A broker, and where a camera publishes."""

    host: str
    port: int
    tls: bool
    user: str | None
    prefix: str
    """What the topics of the camera begin with."""
    expire_after: int = EXPIRE_AFTER
    """Seconds after which a value is out of date."""
    discovery: str = 'homeassistant'
    """What the topics begin with that Home Assistant searches for devices."""

    @classmethod
    def parse(cls, url: str) -> 'MqttAddress':
        """Read ``mqtt://user@host:1883/topic/prefix?expire_after=900&discovery=homeassistant``.

        Raises:
            ValueError: A part of it is missing or wrong, or it holds a password.
        """
        shown = f'MQTT URL {url.rpartition("@")[2]!r}'  # without what may be a password
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise ValueError(f'{shown} cannot be read ({error}): expected one such as {_EXAMPLE}') from error
        if parts.password is not None:
            raise ValueError(
                'the MQTT URL holds a password, which everybody on this machine could read in the list of processes: '
                'leave it out, and set the environment variable HYPERBOLIC_SEG_MQTT_PASSWORD'
            )
        if parts.scheme not in PORTS or parts.fragment:
            raise ValueError(f'{shown}: expected one such as {_EXAMPLE}, or mqtts:// with TLS')
        return cls(
            host=_host(parts, shown),
            port=_port(parts, shown),
            tls=parts.scheme == 'mqtts',
            user=unquote(parts.username) if parts.username else None,
            prefix=_topic(unquote(parts.path).strip('/'), shown),
            **_options(parts.query, shown),
        )

    @property
    def broker(self) -> str:
        """Host and port, for messages."""
        return f'{self.host}:{self.port}'


def _host(parts: SplitResult, shown: str) -> str:
    host = parts.hostname or ''
    try:
        encoded = host.encode('idna')
    except UnicodeError:
        encoded = b''
    if not encoded:
        raise ValueError(f'{shown} has no host, or none that can be one: expected one such as {_EXAMPLE}')
    return host


def _port(parts: SplitResult, shown: str) -> int:
    try:
        port = PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f'{shown}: expected a port from 1 to 65535')
    return port


def _topic(topic: str, shown: str) -> str:
    """Return a prefix of topics if it is one to publish to (MQTT 5.0, section 4.7)."""
    levels = topic.split('/')
    if not all(levels) or topic.startswith('$') or re.search(r'[+#\x00-\x1f\x7f\ud800-\udfff]', topic):
        raise ValueError(
            f'{shown}: expected a path of its own for each camera, which the topics begin with, '
            f'without empty levels, +, # or a $ in front, such as {_EXAMPLE}'
        )
    if len(topic) > _LONGEST:
        raise ValueError(f'a prefix of MQTT topics with {len(topic)} characters: expected at most {_LONGEST}')
    return topic


def _options(query: str, shown: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == 'expire_after' and re.fullmatch('[0-9]{1,8}', value) and 0 < int(value) <= _MOST_SECONDS:
            options[name] = int(value)
        elif name == 'discovery':
            options[name] = _topic(value, shown)
        else:
            raise ValueError(
                f'{shown}: {name}={value}: expected expire_after=SECONDS, a whole number from 1 to '
                f'{_MOST_SECONDS}, or discovery=PREFIX'
            )
    return options
