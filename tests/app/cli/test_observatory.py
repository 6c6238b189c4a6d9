"""hyperbolic-seg watch for an observatory."""

import json
import os
import signal

import pytest
from alpaca.exceptions import ValueNotSetException
from alpaca.management import configureddevices
from alpaca.observingconditions import ObservingConditions
from alpaca.safetymonitor import SafetyMonitor

from tests import processes

CAMERA = 'center: [32, 32]\nradius: 30\ntime_fallback: file\ntime_format: "%Y%m%d"\n'
RULE = 'unsafe: {cloud_above: 4, for_minutes: 5, safe_after_minutes: 15, quality: [doubtful, refused]}\n'


def test_a_client_of_the_command(images, tmp_path):
    """The camera took the pictures just now; that is too little to be safe."""
    out, camera = tmp_path / 'out', tmp_path / 'camera.yaml'
    camera.write_text(CAMERA + RULE)
    (images / 'broken.jpg').unlink()
    for name in ('0.png', '1.png'):
        (images / name).unlink()
    options = ('--camera', camera, '--alpaca', '0', '--settle', '0.1', '--interval', '0.1', '--json')
    program = processes.Program('hyperbolic_seg.app.cli.main', 'watch', images, '--out', out, *options, cwd=tmp_path)
    port = program.wait_for(r'Alpaca is served at 127.0.0.1:(\d+)', stream='stderr')[1]
    line = json.loads(program.wait_for('{')[0])
    address = f'127.0.0.1:{port}'
    assert [one['DeviceType'] for one in configureddevices(address)] == ['SafetyMonitor', 'ObservingConditions']
    roof, clouds = SafetyMonitor(address, 0), ObservingConditions(address, 0)
    roof.Connect()
    clouds.Connect()
    assert roof.IsSafe is False and json.loads((out / 'safety.json').read_text())['unsafe'] is True
    if line.get('quality') == 'ok':
        assert clouds.CloudCover == pytest.approx(100 * line['cloud']['fraction'])
    else:
        with pytest.raises(ValueNotSetException, match='quality|doubtful|refused'):
            _ = clouds.CloudCover
    os.kill(program.pid, signal.SIGTERM)
    done = program.wait()
    assert done.returncode == 0 and 'error' not in done.stderr, done.stderr
    assert json.loads((out / 'safety.json').read_text())['reason'] == 'the program was stopped'


def test_what_is_missing_is_named(command, images, tmp_path):
    without = command('watch', images, '--out', tmp_path / 'out', '--alpaca', '11111')
    assert without.code == 2 and '--alpaca needs --camera: without one there is no cloud cover' in without.err
    camera = tmp_path / 'camera.yaml'
    camera.write_text(CAMERA)
    wrong = command('watch', images, '--out', tmp_path / 'out', '--camera', camera, '--alpaca', 'host:')
    assert wrong.code == 2 and "'host:' is no address: expected PORT, HOST or HOST:PORT" in wrong.err


def test_without_a_rule_there_is_no_safety_monitor(command, images, tmp_path):
    camera = tmp_path / 'camera.yaml'
    camera.write_text(CAMERA)
    options = ['--camera', camera, '--alpaca', '0', '--once', '--settle', 0, '--interval', 0.1]
    done = command('watch', images, '--out', tmp_path / 'out', *options)
    assert done.code == 0 and 'no rule "unsafe", so Alpaca clients get no safety monitor' in done.err, done.err
    assert not (tmp_path / 'out' / 'safety.json').exists()
