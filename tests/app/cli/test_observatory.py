"""hyperbolic-seg watch for an observatory."""

import json
import os
import signal
import time

import cv2
import numpy as np
import pytest
from alpaca.exceptions import ValueNotSetException
from alpaca.management import configureddevices
from alpaca.observingconditions import ObservingConditions
from alpaca.safetymonitor import SafetyMonitor

from hyperbolic_seg.sky.renderer import render_sky, sample_scene
from tests import processes

CAMERA = 'center: [96, 96]\nradius: 90\ntime_fallback: file\ntime_format: "%Y%m%d"\n'
RULE = (
    'unsafe: {cloud_above: 7.9, by: fraction, safe_after_minutes: 0.001, no_picture_minutes: 5, quality: [refused]}\n'
)


def until(condition):
    """Wait for a condition: a line is printed before the outputs take it."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_client_of_the_command(tmp_path):
    """Two pictures, taken now, are enough for this rule; the third one is black."""
    folder, out, camera = tmp_path / 'images', tmp_path / 'out', tmp_path / 'camera.yaml'
    folder.mkdir()
    camera.write_text(CAMERA + RULE)
    options = ('--camera', camera, '--alpaca', '0', '--settle', '0.1', '--interval', '0.1', '--json')
    program = processes.Program('hyperbolic_seg.app.cli.main', 'watch', folder, '--out', out, *options, cwd=tmp_path)

    def take(name, image):
        assert cv2.imwrite(str(folder / name), image)
        return json.loads(program.wait_for(r'\{.*"name": "' + name)[0])

    try:
        address = program.wait_for(r'Alpaca is served at (127.0.0.1:\d+)', stream='stderr')[1]
        assert [one['DeviceType'] for one in configureddevices(address)] == ['SafetyMonitor', 'ObservingConditions']
        roof, clouds = SafetyMonitor(address, 0), ObservingConditions(address, 0)
        roof.Connect()
        clouds.Connect()
        scene = sample_scene(3, camera='planar', time='day', genera=['cumulus']).plain()
        first = render_sky(3, 192, scene=scene).image  # half of it is clear
        take('a.png', first)
        assert roof.IsSafe is False and json.loads((out / 'safety.json').read_text())['unsafe'] is True
        record = take('b.png', first[:, ::-1])
        until(lambda: roof.IsSafe)
        assert json.loads((out / 'safety.json').read_text())['unsafe'] is False
        until(lambda: clouds.CloudCover == pytest.approx(100 * record['cloud']['fraction']))
        assert take('c.png', np.zeros_like(first))['quality'] == 'refused'
        until(lambda: not roof.IsSafe)
        until(lambda: 'CloudCover' not in [one['Name'] for one in clouds.DeviceState])
        with pytest.raises(ValueNotSetException, match='the picture is refused: black'):
            _ = clouds.CloudCover
    finally:
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
