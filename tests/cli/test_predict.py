"""hyperbolic-seg predict."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest


def test_a_line_of_json_for_every_picture(command, pictures, tmp_path):
    out = tmp_path / 'out'
    options = ['--prompts', 'clear sky, cumulus; fair-weather cloud', '-p', 'cirrus', '--out', out, '--json']
    done = command('predict', pictures, tmp_path / 'lost.png', *options)
    assert done.code == 1 and '3 of 5 pictures written' in done.err
    records = [json.loads(line) for line in done.out.splitlines()]
    refused = {Path(record['image']).name: record['error'] for record in records if 'error' in record}
    assert set(refused) == {'broken.jpg', 'lost.png'} and all(name in why for name, why in refused.items())
    for record in records:
        if 'error' in record:
            continue
        assert list(record['fractions']) == ['clear sky', 'cumulus', 'cirrus']
        assert sum(record['fractions'].values()) == pytest.approx(1)
        assert 1 / 3 <= record['mean_confidence'] <= 1 and record['mean_radius'] > 0
        labels = cv2.imread(record['files']['labels'], cv2.IMREAD_UNCHANGED)
        assert labels.shape == (record['height'], record['width'])
        shares = [(labels == label).mean() for label in range(3)]
        assert shares == pytest.approx(list(record['fractions'].values()))
        assert Path(record['files']['overlays']).is_file()
    assert len(list(csv.DictReader((out / 'summary.csv').open()))) == 5


def test_a_table_for_people_and_nodes_with_a_threshold(command, pictures, tmp_path):
    video = ['--video', tmp_path / 'day.mp4', '--fps', 2]
    done = command('predict', pictures / '*.png', '--threshold', 0.6, '--out', tmp_path / 'out', *video)
    assert done.code == 0 and '3 of 3 pictures written' in done.err and '3 frames written' in done.err
    assert (tmp_path / 'day.mp4').stat().st_size
    assert '0.png' in done.out and '%' in done.out
    assert len(list((tmp_path / 'out' / 'nodes').iterdir())) == 3


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['nowhere/*.jpg'], 'nothing matches nowhere/*.jpg'),
        (['PICTURE', '--prompts', 'cloud'], 'at least two prompts'),
        (['PICTURE', '--prompts', 'cloud, '], 'an empty prompt'),
        (['PICTURE', '--prompts', 'a, b', '--vocabulary', 'sky'], 'give one'),
        (['PICTURE', '--model', 'hyperclip-unet-clouds'], 'neither a file nor a model'),
        (['PICTURE', '--model', 'unet_cloud.py'], 'give its checkpoint by --weights'),
        (['PICTURE', '--model', 'unet_clouds.py', '--weights', 'x.pth'], 'Those are like unet_cloud'),
        (['PICTURE', '--threshold', '0.4'], 'expected more than 0.5'),
        (['PICTURE', '--vocabulary', 'no_such'], 'no vocabulary file'),
        (['PICTURE', '--video', 'day.gif'], 'day.gif: expected a suffix of .mp4'),
        (['PICTURE', '--fps', '0'], 'greater than or equal to 0.1'),
    ],
)
def test_what_is_wrong_is_named_before_any_picture(command, pictures, tmp_path, arguments, message):
    arguments = [str(pictures / '0.png') if argument == 'PICTURE' else argument for argument in arguments]
    done = command('predict', *arguments, '--out', tmp_path / 'out')
    assert done.code == 2 and message in done.err, done.err
    assert not done.out and not (tmp_path / 'out').exists()


def test_nothing_done_is_2(command, pictures, tmp_path):
    done = command('predict', pictures / 'broken.jpg', '--out', tmp_path / 'out')
    assert done.code == 2 and 'broken.jpg is not a readable image' in done.err


def test_standard_output_holds_json_alone(pictures, tmp_path):
    """As a shell runs it, with all that libraries print when they are imported."""
    installed = Path(sys.executable).with_name('hyperbolic-seg')
    arguments = ['predict', pictures / '0.png', '--out', tmp_path / 'out', '--json']
    done = subprocess.run(list(map(str, [installed, *arguments])), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)['width'] == 80


def test_what_an_observer_would_say_and_a_series(command, tmp_path):
    for seed, hour in ((3, '0830'), (4, '1130')):
        dome = np.hypot(*(np.mgrid[:96, :96] - 47.5)) < 44
        image = np.where(dome[..., None], np.random.default_rng(seed).integers(120, 220, (96, 96, 3)), 3)
        cv2.imwrite(str(tmp_path / f'cam_20240717_{hour}.jpg'), image)
    camera = tmp_path / 'camera.yaml'
    camera.write_text('latitude: 59.9\nlongitude: 10.7\ntime_format: "%Y%m%d_%H%M"\nfield_of_view: 170\n')
    options = ['--camera', camera, '--prompts', 'clear sky, cloud, sun', '--out', tmp_path / 'out', '--json']
    series = [tmp_path / f'day{suffix}' for suffix in ('.csv', '.nc', '.png')]
    done = command('predict', tmp_path / '*.jpg', *options, *(o for file in series for o in ('--series', file)))
    assert done.code == 0 and '2 times written' in done.err, done.err
    first, second = map(json.loads, done.out.splitlines())
    assert first['time'] < second['time'] and first['sun']['azimuth'] < second['sun']['azimuth']
    assert first['cloud']['low'] <= first['cloud']['fraction'] <= first['cloud']['high'] and 'sun' not in first['cover']
    assert all(file.stat().st_size for file in series)
    without = command('predict', tmp_path / '*.jpg', '--series', tmp_path / 'day.csv')
    assert without.code == 2 and '--series needs --camera' in without.err
    other = command('predict', tmp_path / '*.jpg', '--camera', camera, '--series', tmp_path / 'day.xls')
    assert other.code == 2 and 'expected a suffix of .csv, .nc, .png' in other.err


def test_its_own_results_are_no_pictures(command, pictures):
    for _ in range(2):
        done = command('predict', pictures, '--out', pictures / 'predictions', '--prompts', 'clear sky, cloud')
        assert done.code == 1 and '3 of 4 pictures written' in done.err


def test_what_cannot_be_made_of_all_pictures_undoes_nothing(command, pictures, tmp_path):
    """Names without times make no series; masks and the video are there all the same."""
    camera = tmp_path / 'camera.yaml'
    camera.write_text('center: [32, 32]\nradius: 30\ntime_format: "%Y%m%d"\n')
    wanted = ['--series', tmp_path / 'day.csv', '--video', tmp_path / 'day.mp4']
    done = command('predict', pictures / '2.png', '--camera', camera, '--out', tmp_path / 'out', *wanted)
    assert done.code == 1 and 'no picture says when it was taken' in done.err, done.err
    assert '1 of 1 pictures written' in done.err and (tmp_path / 'day.mp4').is_file()


def test_names_are_shown_as_they_are(command, pictures, tmp_path):
    odd = (pictures / '0.png').rename(pictures / 'sky[bold]north[x].png')
    done = command('predict', odd, '--prompts', 'clear sky, [/x] cloud', '--out', tmp_path / 'out')
    assert done.code == 0 and 'sky[bold]north[x].png' in done.out


def test_a_config_that_needs_no_training(command, pictures, tmp_path):
    refused = command('predict', pictures / '0.png', '--model', 'unet_cloud', '--out', tmp_path / 'out')
    assert refused.code == 2 and 'give its checkpoint by --weights, or --weights none' in refused.err
    options = ['--model', 'unet_cloud', '--weights', 'none', '--out', tmp_path / 'out']
    assert command('predict', pictures / '0.png', *options).code == 0
