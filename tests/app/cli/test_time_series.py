"""Time series of predict and watch."""

import csv
import json

import cv2
import numpy as np
import pytest
import xarray

from hyperbolic_seg.apis import RELEASES

PLACE = 'latitude: 59.9\nlongitude: 10.7\n'
DOME = 'center: [47.5, 47.5]\nradius: 44\n'
PROMPTS = ('--prompts', 'clear sky, cloud, sun')


@pytest.fixture
def skies(tmp_path):
    """Domes under names with times, and one without."""
    folder = tmp_path / 'skies'
    folder.mkdir()
    for seed, name in enumerate(('20240717_2350', '20240718_0010', 'untimed')):
        draw_sky(folder / f'{name}.png', seed)
    return folder


def draw_sky(file, seed):
    """Draw a dome with smooth structure, another one for each seed."""
    coarse = np.random.default_rng(seed).integers(90, 220, (8, 8, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)
    image[np.hypot(*(np.mgrid[:96, :96] - 47.5)) > 44] = 3
    assert cv2.imwrite(str(file), image)


def camera_file(folder, content):
    (folder / 'camera.yaml').write_text(content + 'time_format: "%Y%m%d_%H%M"\n')
    return folder / 'camera.yaml'


def test_watch_writes_the_series_of_each_day(command, skies, tmp_path):
    camera, out = camera_file(tmp_path, f'{PLACE}{DOME}station: Blindern\n'), tmp_path / 'out'
    options = ['--camera', camera, '--series', '--out', out, '--once', '--settle', 0, '--interval', 0.05, *PROMPTS]
    done = command('watch', skies, *options)
    assert done.code == 0 and 'error' not in done.err, done.err
    assert done.err.count('has no time') == 1 and 'untimed.png has no time' in done.err
    for day in ('2024-07-17', '2024-07-18'):
        endings = ('.csv', '.csv-metadata.json', '.nc', '.png', '-keogram.png', '-meridian.jsonl')
        assert all((out / 'series' / f'{day}{ending}').stat().st_size for ending in endings)
    with xarray.open_dataset(out / 'series' / '2024-07-18.nc') as found:
        (model,) = json.loads(found.attrs['models'])
        assert model == dict(name='hyperclip-unet-cloud', sha256=RELEASES['hyperclip-unet-cloud'].sha256)
        assert found.attrs['prompts'] == 'clear sky, cloud, sun' and found.station.item() == 'Blindern'
    draw_sky(skies / '20240718_0020.png', 9)
    assert command('watch', skies, *options).code == 0
    with (out / 'series' / '2024-07-18.csv').open() as file:
        assert [row['image'][-8:] for row in csv.DictReader(file)] == ['0010.png', '0020.png']


def test_watch_needs_a_camera_for_series(command, skies, tmp_path):
    done = command('watch', skies, '--series', '--out', tmp_path / 'out', '--once')
    assert done.code == 2 and '--series needs --camera' in done.err
    camera = camera_file(tmp_path, PLACE)
    options = ['--out', tmp_path / 'out', '--once', '--settle', 0, '--interval', 0.05, *PROMPTS]
    done = command('watch', skies, '--camera', camera, '--series', *options)
    assert 'note: no keogram is drawn: a keogram needs center and radius' in done.err


@pytest.mark.parametrize(
    ('content', 'series', 'said'), [(PLACE + DOME, False, 1), (DOME, True, 1), (DOME, False, 0)], ids=str
)
def test_the_first_image_without_a_time_is_named_at_once(command, skies, tmp_path, content, series, said):
    for number in (1, 2):
        draw_sky(skies / f'a{number}.png', 10 + number)
    wanted = ['--series', tmp_path / 'day.csv'] if series else []
    options = ['--camera', camera_file(tmp_path, content), '--out', tmp_path / 'out', '--json', *PROMPTS, *wanted]
    done = command('predict', skies, *options)
    assert done.code == 0 and done.err.count('has no time') == said, done.err
    if said:
        assert 'a1.png has no time' in done.err and 'a time_format that is there does not match it' in done.err
    if series:
        assert done.err.index('a1.png has no time') < done.err.index('images written to')
        assert '2 times written' in done.err and '3 images without a time are left out' in done.err


def test_the_model_of_a_record_is_the_file_of_its_weights(command, skies, tmp_path):
    options = ['--camera', camera_file(tmp_path, DOME), '--out', tmp_path / 'out', '--json']
    done = command('predict', skies / 'untimed.png', '--model', 'unet_cloud', '--weights', 'none', *options)
    assert json.loads(done.out)['model'] == dict(name='unet_cloud', sha256=None)
    done = command('predict', skies / 'untimed.png', *options)
    assert json.loads(done.out)['model']['sha256'] == RELEASES['hyperclip-unet-cloud'].sha256
    assert 'model' not in json.loads(command('predict', skies / 'untimed.png', '--json', *options[2:4]).out)
