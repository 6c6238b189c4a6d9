"""Publishing by MQTT to a real broker, while it and the publisher are killed."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

from hyperbolic_seg.app.outputs.home_assistant import discovery_topic
from hyperbolic_seg.app.outputs.mqtt import MqttOutput
from hyperbolic_seg.app.outputs.mqtt_address import MqttAddress
from tests.brokers import PASSWORD, USER, Broker, Listener, free_port, needs_mosquitto

COVER = dict(fraction=0.25, low=0.2, high=0.3, oktas=2)


def record(number, **others):
    """A line of the journal, as of a picture of a camera."""
    return (
        dict(
            image=f'{number}.jpg',
            time='2025-06-01T12:00:00+00:00',
            sun=dict(elevation=40.5, azimuth=180.0, phase='day'),
            cloud=COVER,
            cover={'clear sky': COVER, 'cumulus': COVER},
            quality='ok',
            quality_reasons=[],
            name=f'{number}.jpg',
            version=[1, number],
        )
        | others
    )


def address(broker, **others):
    return MqttAddress.parse(f'mqtt://{USER}@127.0.0.1:{broker.port}/sky/roof')._replace(**others)


@pytest.fixture
def broker(tmp_path):
    with Broker(tmp_path) as broker:
        yield broker


@pytest.fixture
def publish():
    """Makes outputs that are closed at the end, also of a test that fails, with what they say in `said`."""
    opened = []

    def make(where, password=PASSWORD):
        said = []
        output = MqttOutput(where, said.append, password=password)
        opened.append(output)
        output.said = said
        return output

    yield make
    for output in opened:
        output.close()


@needs_mosquitto
def test_state_availability_and_discovery_are_retained(broker, publish):
    output = publish(address(broker))
    output.add(record(1))
    output.add(record(2))
    with Listener(broker.port) as live:
        live.wait_for('sky/roof/state', json.dumps(record(2)))
        with Listener(broker.port) as later:
            topic, payload, retained = later.wait_for('sky/roof/state')
            assert json.loads(payload) == record(2) and retained
            assert later.wait_for('sky/roof/availability') == ('sky/roof/availability', 'online', True)
            _, payload, retained = later.wait_for(discovery_topic(address(broker)))
            assert json.loads(payload)['state_topic'] == topic and retained
        output.close()
        live.wait_for('sky/roof/availability', 'offline')
    assert output.said == []


@needs_mosquitto
def test_lines_of_no_picture_are_left_out_and_refused_pictures_are_not(broker, publish):
    refused = record(3, cloud=None, cover={}, quality='refused', quality_reasons=['dew on the dome'])
    output = publish(address(broker))
    with Listener(broker.port) as listener:
        for line in (
            dict(name='a.jpg', skipped='a FIFO: expected a regular file'),
            dict(name='b.jpg', error='will be tried again: no space left on device'),
            refused,
        ):
            output.add(line)
        listener.wait_for('sky/roof/state', json.dumps(refused))
        assert len(listener.of('sky/roof/state')) == 1


@needs_mosquitto
def test_safety_is_published_and_announced_once_it_is_known(broker, publish):
    output = publish(address(broker))
    with Listener(broker.port) as listener:
        output.publish_safety(dict(unsafe=True, reason='no picture for 10 minutes'))
        _, payload, _ = listener.wait_for('sky/roof/safety')
        assert json.loads(payload) == dict(unsafe=True, reason='no picture for 10 minutes')
        safe = dict(unsafe=False, reason='')
        output.publish_safety(safe)
        output.add(record(1))
        listener.wait_for('sky/roof/safety', json.dumps(safe))
        listener.wait_for('sky/roof/state')
        assert listener.lifetimes['sky/roof/safety'] <= 60 < listener.lifetimes['sky/roof/state'], 'safe for no longer'
        assert (
            json.loads(listener.of(discovery_topic(address(broker)))[-1])['components']['unsafe']['device_class']
            == 'safety'
        )
    with pytest.raises(ValueError, match='expected unsafe to be True or False'):
        output.publish_safety(dict(reason='unknown'))


PUBLISHER = """
import sys, time
from hyperbolic_seg.app.outputs.home_assistant import discovery_topic
from hyperbolic_seg.app.outputs.mqtt import MqttOutput
from hyperbolic_seg.app.outputs.mqtt_address import MqttAddress
output = MqttOutput(MqttAddress.parse(sys.argv[1]), print, password=sys.argv[2])
output.add(dict(name='a.jpg', version=[1, 2]))
time.sleep(60)
"""


@needs_mosquitto
def test_a_killed_publisher_is_offline(broker):
    url = f'mqtt://{USER}@127.0.0.1:{broker.port}/sky/roof'
    with Listener(broker.port) as listener:
        process = subprocess.Popen([sys.executable, '-c', PUBLISHER, url, PASSWORD])
        listener.wait_for('sky/roof/state', timeout=60)
        assert listener.of('sky/roof/availability') == ['online']
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        listener.wait_for('sky/roof/availability', 'offline')
    with Listener(broker.port) as later:
        assert later.wait_for('sky/roof/availability') == ('sky/roof/availability', 'offline', True)


@needs_mosquitto
def test_the_latest_state_is_published_when_the_broker_is_back(broker, publish):
    output = publish(address(broker))
    output.add(record(1))
    with Listener(broker.port) as listener:
        listener.wait_for('sky/roof/state')
    broker.stop()
    while not output.said:
        time.sleep(0.01)
    since = time.monotonic()
    for number in range(2, 500):
        output.add(record(number))
    assert time.monotonic() - since < 1, 'it does not wait'
    broker.start()
    with Listener(broker.port) as listener:
        listener.wait_for('sky/roof/state', json.dumps(record(499)))
        assert len(listener.of('sky/roof/state')) == 1, 'only the latest'
        listener.wait_for('sky/roof/availability', 'online')
        listener.wait_for(discovery_topic(address(broker)))  # this broker forgets all when it stops
    gone, back = output.said[0], output.said[-1]
    assert 'is gone' in gone and 'is reached now' in back and len(output.said) <= 3, output.said


@needs_mosquitto
def test_an_absent_broker_is_said_once_and_waited_for(tmp_path, publish):
    broker = Broker(tmp_path)
    output = publish(address(broker))
    output.add(record(1))
    assert len(output.said) == 1 and 'cannot be reached' in output.said[0]
    with broker, Listener(broker.port) as listener:
        listener.wait_for('sky/roof/state', json.dumps(record(1)))
        output.close()


def test_closing_does_not_wait_for_an_absent_broker():
    where, said = MqttAddress('127.0.0.1', free_port(), False, None, 'sky'), []
    output, since = MqttOutput(where, said.append), time.monotonic()
    output.add(record(1))
    output.close()
    assert time.monotonic() - since < 3 and 'did not get the last messages' in said[-1]


def test_a_broker_that_never_answers_holds_up_nothing():
    with socket.create_server(('127.0.0.1', 0)) as listening:
        said, since = [], time.monotonic()
        output = MqttOutput(MqttAddress('127.0.0.1', listening.getsockname()[1], False, None, 'sky'), said.append)
        assert time.monotonic() - since < 4 and len(said) == 1 and 'does not answer' in said[0]
        since = time.monotonic()
        output.add(record(1))
        output.close()
        assert time.monotonic() - since < 2


@needs_mosquitto
def test_a_state_that_is_out_of_date_is_gone(broker, publish):
    """The broker drops it, and one that waited too long for the broker is not published."""
    output = publish(address(broker, expire_after=2))
    output.add(record(1))
    with Listener(broker.port) as listener:
        listener.wait_for('sky/roof/state')
    time.sleep(2.2)
    with Listener(broker.port) as listener:
        listener.wait_for('sky/roof/availability', 'online')
        listener.wait_for(discovery_topic(address(broker)))
        assert listener.of('sky/roof/state') == []


@needs_mosquitto
@pytest.mark.parametrize(('user', 'password'), [(USER, 'wrong'), ('nobody', PASSWORD), (None, None)])
def test_refused_credentials_end_the_start(broker, user, password):
    with pytest.raises(OSError, match=rf'127.0.0.1:{broker.port} refuses the connection: (Not authorized|Bad user)'):
        MqttOutput(address(broker, user=user), print, password=password)


@needs_mosquitto
def test_a_topic_that_is_not_allowed_is_said(tmp_path, publish):
    (tmp_path / 'acl').write_text(f'user {USER}\ntopic readwrite sky/#\ntopic read #\n')
    with Broker(tmp_path, f'acl_file {tmp_path / "acl"}') as broker, Listener(broker.port) as listener:
        output = publish(address(broker))
        output.add(record(1))
        listener.wait_for('sky/roof/state', json.dumps(record(1)))
        assert any('refuses homeassistant/device/' in text and 'Not authorized' in text for text in output.said)
        output.close()


def test_a_password_without_a_user_is_refused():
    with pytest.raises(ValueError, match='a password for MQTT, but no user'):
        MqttOutput(MqttAddress.parse('mqtt://localhost/sky'), print, password='secret')


@needs_mosquitto
@pytest.mark.skipif(shutil.which('openssl') is None, reason='openssl, which makes the certificate, is not installed')
def test_tls_with_an_own_authority(tmp_path, publish, monkeypatch):
    key, certificate = tmp_path / 'key.pem', tmp_path / 'certificate.pem'
    made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=127.0.0.1']
    names = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate, '-days', '2']
    subprocess.run(['openssl', 'req', *made, *names], check=True, capture_output=True)
    broker = Broker(tmp_path, f'certfile {certificate}', f'keyfile {key}')
    where = MqttAddress.parse(f'mqtts://{USER}@127.0.0.1:{broker.port}/sky/roof')
    with broker:
        with pytest.raises(OSError, match='certificate that is not trusted .*SSL_CERT_FILE'):
            MqttOutput(where, print, password=PASSWORD)
        monkeypatch.setenv('SSL_CERT_FILE', str(certificate))
        output = publish(where)
        output.add(record(1))
        output.close()
        with Listener(broker.port, ssl.create_default_context()) as listener:
            assert json.loads(listener.wait_for('sky/roof/state')[1]) == record(1)
    assert output.said == []


@needs_mosquitto
def test_after_a_fault_of_the_program_the_camera_is_offline(broker, publish):
    """The interval is larger than MQTT 5 has, which its client refuses in the thread of the output."""
    with Listener(broker.port) as live:
        output = publish(address(broker, expire_after=10**12))
        live.wait_for('sky/roof/availability', 'online')
        output.add(record(1))
        live.wait_for('sky/roof/availability', 'offline')
        (said,) = output.said
        assert said.startswith('nothing more is published by MQTT until the next start: struct.error: ')
        output.add(record(2))
        output.publish_safety(dict(unsafe=False))
    with Listener(broker.port) as later:
        later.wait_for('sky/roof/availability', 'offline')
        assert not any(topic in ('sky/roof/state', 'sky/roof/safety') for topic, *_ in later.messages)
