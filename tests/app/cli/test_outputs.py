"""hyperbolic-seg watch with outputs: a real broker and a real HTTP server."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.brokers import PASSWORD, USER, Broker, Listener, needs_mosquitto

QUICK = ('--once', '--settle', 0, '--interval', 0.05, '--prompts', 'clear sky, cloud', '--json')


@pytest.fixture
def hook():
    """A server that keeps the bodies of requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            server.bodies.append(self.rfile.read(int(self.headers['Content-Length'])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = HTTPServer(('127.0.0.1', 0), Handler)
    server.bodies = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@needs_mosquitto
def test_records_go_to_a_broker_and_a_webhook(command, images, tmp_path, hook, monkeypatch):
    monkeypatch.setenv('HYPERBOLIC_SEG_MQTT_PASSWORD', PASSWORD)
    with Broker(tmp_path) as broker, Listener(broker.port) as listener:
        outputs = ('--mqtt', f'mqtt://{USER}@127.0.0.1:{broker.port}/sky', '--webhook')
        done = command(
            'watch', images, '--out', tmp_path / 'out', *QUICK, *outputs, f'http://127.0.0.1:{hook.server_port}'
        )
        assert done.code == 0, done.err
        printed = done.out.splitlines()
        assert len(printed) == 4 and hook.bodies == printed
        listener.wait_for('sky/availability', 'offline')
        assert listener.of('sky/state')[-1] == printed[-1]
        discovery = [payload for name, payload, _ in listener.messages if name.startswith('homeassistant/device/')]
        names = {component['name'] for component in json.loads(discovery[-1])['components'].values()}
        assert names == {'Share of the image: clear sky', 'Share of the image: cloud'}
        monkeypatch.setenv('HYPERBOLIC_SEG_MQTT_PASSWORD', 'wrong')
        done = command('watch', images, '--out', tmp_path / 'out', *QUICK, *outputs[:2])
        assert done.code == 2 and 'refuses the connection: Not authorized' in done.err


@pytest.mark.parametrize(
    ('option', 'url', 'reason'),
    [
        ('--mqtt', 'mqtt://user:secret@broker/sky', 'HYPERBOLIC_SEG_MQTT_PASSWORD'),
        ('--mqtt', 'http://broker/sky', 'expected one such as mqtt://'),
        ('--webhook', 'http://user:secret@host/', 'HYPERBOLIC_SEG_WEBHOOK_SECRET'),
    ],
)
def test_wrong_urls_are_refused_before_a_model_is_loaded(command, tmp_path, option, url, reason):
    done = command('watch', tmp_path, '--out', tmp_path.parent / 'out', '--model', 'no model', option, url)
    assert done.code == 2 and reason in done.err and 'secret' not in done.err and 'no model' not in done.err
