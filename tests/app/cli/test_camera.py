"""The command that makes a camera file, on a rendered camera."""

import json
from datetime import datetime, timedelta, timezone

import cv2
import pytest

from hyperbolic_seg.sky.camera import Place, SkyCamera
from hyperbolic_seg.sky.renderer import Camera, Ground, Station, render_station

PLACE = ('--latitude', '48.1', '--longitude', '11.6', '--time-format', '%Y%m%d_%H%M%S', '--timezone', 'UTC')


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pictures')
    camera = Camera('fisheye', 90.0, 0.0, 180.0, roll=-70.0, dome_radius=0.95, east_left=True)
    station = Station(camera, Ground('trees', 8, 0), Place(48.1, 11.6), 1)
    for step in range(16):
        time = datetime(2024, 5, 2, 5, tzinfo=timezone.utc) + timedelta(minutes=50 * step)
        image = render_station(station, time, 200, clouds=step if step % 4 == 0 else None).image
        assert cv2.imwrite(str(folder / f'{time:%Y%m%d_%H%M%S}.png'), image)
    return folder


def test_a_folder_becomes_a_camera_file(command, pictures, tmp_path):
    (broken := pictures / '20240502_120000_broken.png').write_bytes(b'no picture')
    done = command('camera', pictures, '--out', tmp_path / 'new', *PLACE)
    broken.unlink()
    assert done.code == 0, done.err
    assert 'north: 2' in done.out and 'known to' in done.out
    assert 'refused' in done.err and 'broken.png' in done.err
    camera = SkyCamera.load(tmp_path / 'new' / 'camera.yaml')
    assert camera.north == pytest.approx(290, abs=0.5)
    assert camera.mask is not None and camera.time_format == '%Y%m%d_%H%M%S'
    again = command('camera', pictures, '--out', tmp_path / 'new', *PLACE)
    assert again.code == 2 and '--overwrite' in again.err


@pytest.mark.parametrize('name', ['camera.yaml', 'mask.png', 'camera.png'])
def test_no_file_of_somebody_is_replaced(command, pictures, tmp_path, name):
    (tmp_path / name).write_text('drawn by hand')
    done = command('camera', pictures, '--out', tmp_path, *PLACE)
    assert done.code == 2 and name in done.err and '--overwrite' in done.err
    assert [path.read_text() for path in tmp_path.iterdir()] == ['drawn by hand']


def test_json_has_settings_and_figures_of_merit(command, pictures, tmp_path):
    done = command('camera', pictures, '--out', tmp_path, '--json', *PLACE)
    record = json.loads(done.out)
    assert record['settings']['projection'] == 'equidistant'
    assert record['fit']['agree'] >= 8 and record['fit']['error'] < 0.5
    assert record['leeway']['behind'] > 0 and record['leeway']['ahead'] > 0
    assert ' minutes ahead fits as well' in (tmp_path / 'camera.yaml').read_text()


def test_what_cannot_be_determined_is_named(command, pictures, tmp_path):
    done = command('camera', pictures, '--out', tmp_path, '--most', '5', *PLACE)
    assert done.code == 1
    text = (tmp_path / 'camera.yaml').read_text()
    assert '# north left out: ' in text and '# mask left out: 5 pictures: expected at least 12' in text
    assert 'north:' not in [line.split(' ')[0] for line in text.splitlines()]


def test_a_folder_without_pictures_is_refused(command, tmp_path):
    done = command('camera', tmp_path, '--out', tmp_path / 'out')
    assert done.code == 2 and 'no image in' in done.err
    assert not (tmp_path / 'out').exists()
