"""A real MQTT broker, mosquitto, and a real client that listens to it."""

import shutil
import socket
import subprocess
import threading
import time

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

MOSQUITTO = shutil.which('mosquitto') or shutil.which('mosquitto', path='/usr/sbin:/usr/local/sbin')
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason='the broker mosquitto is not installed')
USER, PASSWORD = 'camera', 'a secret: %@/'


def free_port():
    with socket.socket() as listening:
        listening.bind(('127.0.0.1', 0))
        return listening.getsockname()[1]


class Broker:
    """Mosquitto on a port of this machine, for one user with a password; it forgets all when it stops.

    Args:
        folder: Folder of its files.
        settings: Further lines of its configuration.
    """

    def __init__(self, folder, *settings):
        self.port, self.process = free_port(), None
        passwords, self.config = folder / 'passwords', folder / 'mosquitto.conf'
        subprocess.run(['mosquitto_passwd', '-b', '-c', passwords, USER, PASSWORD], check=True, capture_output=True)
        lines = [f'listener {self.port} 127.0.0.1', f'password_file {passwords}', 'user root', *settings]
        self.config.write_text('\n'.join(lines))

    def start(self):
        self.process = subprocess.Popen([MOSQUITTO, '-c', self.config], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(('127.0.0.1', self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise TimeoutError('mosquitto does not listen')

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()


class Listener:
    """A subscriber to all topics; `messages` are topic, payload and whether the broker had retained it.

    `lifetimes` are the seconds, by topic, for which the last message holds; `None` for one without an end.
    """

    def __init__(self, port, tls=None):
        self.messages, self.lifetimes, self._changed = [], {}, threading.Condition()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.username_pw_set(USER, PASSWORD)
        if tls is not None:
            self.client.tls_set_context(tls)
        self.client.on_message = self._take
        self.client.on_connect = lambda client, *_: client.subscribe('#', options=SubscribeOptions(qos=1))
        self.client.connect('127.0.0.1', port)
        self.client.loop_start()

    def _take(self, client, userdata, message):
        with self._changed:
            self.lifetimes[message.topic] = getattr(message.properties, 'MessageExpiryInterval', None)
            self.messages.append((message.topic, message.payload.decode(), message.retain))
            self._changed.notify_all()

    def wait_for(self, topic, payload=None, timeout=10):
        """Return the first message of a topic, with a payload if given, that is or was received."""
        found = []

        def has_come():
            found[:] = [m for m in self.messages if m[0] == topic and payload in (None, m[1])]
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(has_come, timeout), f'no {topic} {payload} in {self.messages}'
        return found[0]

    def of(self, topic):
        return [payload for name, payload, _ in self.messages if name == topic]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.client.disconnect()
        self.client.loop_stop()
