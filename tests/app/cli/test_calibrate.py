"""From true covers of some days to calibrated intervals in every output."""

import csv
import json

import cv2
import numpy as np
import pytest
import xarray
from typer.testing import CliRunner

from hyperbolic_seg.app.cli.app import app
from hyperbolic_seg.app.steps import cover_in_words
from hyperbolic_seg.sky.camera import SkyCamera

CAMERA = 'center: [47.5, 47.5]\nradius: 44\nlatitude: 59.9\nlongitude: 10.7\ntime_format: "%Y%m%d_%H%M"\n'
PROMPTS = ('--prompts', 'clear sky, cloud')
DAYS = 10


def draw_sky(file, seed, *, level=1.0):
    """Draw a dome of blue and white, and return the mask of white."""
    random = np.random.default_rng(seed)
    coarse = cv2.resize(random.random((6, 6)), (96, 96), interpolation=cv2.INTER_CUBIC)
    cloudy = coarse > random.uniform(0.3, 0.7)
    image = np.where(cloudy[..., None], (225, 225, 225), (190, 120, 60)) * level + random.normal(0, 6, (96, 96, 3))
    outside = np.hypot(*(np.mgrid[:96, :96] - 47.5)) > 44
    image[outside] = 3
    assert cv2.imwrite(str(file), image.clip(0, 255).astype(np.uint8))
    return np.where(outside, 255, cloudy).astype(np.uint8)


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """A folder with pictures of some days, their masks, the records and a camera file."""
    folder = tmp_path_factory.mktemp('site')
    for name in ('days', 'masks'):
        (folder / name).mkdir()
    for day in range(DAYS):
        name = f'202406{day + 1:02d}_1200.png'
        assert cv2.imwrite(str(folder / 'masks' / name), draw_sky(folder / 'days' / name, day))
    (folder / 'camera.yaml').write_text(CAMERA)
    options = ('--camera', folder / 'camera.yaml', '--out', folder / 'out', '--json', *PROMPTS)
    done = CliRunner().invoke(app, [str(argument) for argument in ('predict', folder / 'days', *options)])
    (folder / 'records.jsonl').write_text(done.stdout)
    assert [json.loads(line)['quality'] for line in done.stdout.splitlines()] == ['ok'] * DAYS, done.stderr
    return folder


def test_masks_of_some_days_make_intervals_that_every_output_names(command, site, tmp_path):
    given = ('calibrate', site / 'records.jsonl', site / 'masks', '--out', tmp_path / 'cover.yaml')
    without = command(*given)
    assert without.code == 2 and 'is a folder of masks: give --camera' in without.err
    done = command(*given, '--camera', site / 'camera.yaml')
    assert done.code == 0 and f'{DAYS} pictures of {DAYS} days' in done.out, done.err
    (tmp_path / 'camera.yaml').write_text(CAMERA + 'cover_calibration: cover.yaml\n')
    (tmp_path / 'new').mkdir()
    new = tmp_path / 'new' / '20240701_1200.png'
    mask = draw_sky(new, 99)
    draw_sky(tmp_path / 'new' / '20240701_1300.png', 99, level=0.3)
    series = [option for ending in ('csv', 'nc', 'png') for option in ('--series', tmp_path / f'new.{ending}')]
    options = ('--camera', tmp_path / 'camera.yaml', '--out', tmp_path / 'out', *series, *PROMPTS)
    like, unlike = map(json.loads, command('predict', tmp_path / 'new', *options, '--json').out.splitlines())
    assert like['interval']['kind'] == 'calibrated' and like['interval']['days'] == DAYS
    weights = SkyCamera.load(tmp_path / 'camera.yaml').view(cv2.imread(str(new)), new).weights
    assert like['cloud']['low'] <= weights[mask == 1].sum() / weights.sum() <= like['cloud']['high']
    assert unlike['interval']['kind'] == 'outside' and 'unusual brightness' in unlike['interval']['outside']
    with (tmp_path / 'new.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['interval'] for row in rows] == ['calibrated', 'outside']
    assert rows[0]['interval_outside'] == '' and 'unusual brightness' in rows[1]['interval_outside']
    with xarray.open_dataset(tmp_path / 'new.nc') as found:
        assert found.cloud_interval.values.tolist() == [1, 2]
        assert found.cloud_interval.flag_meanings == 'model calibrated outside'
        assert 'unusual brightness' in found.cloud_interval_outside.values[1]
    assert 'unlike the calibration: unusual brightness' in cover_in_words(unlike)
    assert 'unlike' not in cover_in_words(like)


def test_a_table_of_covers_and_what_is_wrong_with_it(command, site, tmp_path):
    table, out = tmp_path / 'observed.csv', tmp_path / 'cover.yaml'

    def calibrate(text, *options):
        table.write_text(text)
        return command('calibrate', site / 'records.jsonl', table, '--out', out, *options)

    names = [f'202406{day + 1:02d}_1200.png' for day in range(DAYS)]
    rows = [f'{name},4,night {number}' for number, name in enumerate(names)]
    done = calibrate('\n'.join(['image,oktas,day', *rows, 'other.png,3,night 3']), '--json')
    assert done.code == 0 and '1 true covers without a record, such as other.png' in done.err
    found = json.loads(done.out)
    assert (found['days'], found['pictures'], found['confidence']) == (DAYS, DAYS, 0.9)
    few = calibrate('\n'.join(['image,oktas', *(f'{name},4' for name in names[:4])]))
    assert few.code == 2 and '4 days: a confidence of 0.9 needs at least 9 days' in few.err
    assert calibrate('\n'.join(['image,oktas', *(f'{name},4' for name in names[:4])]), '--confidence', 0.8).code == 0
    for text, why in (
        ('name,cover\na,1', 'expected image, one of cover (0 to 1) and oktas (0 to 8)'),
        (f'image,cover\n{names[0]},50', "line 2: cover '50': expected 0 to 1"),
        (f'image,cover\n{names[0]},', "line 2: cover '': expected 0 to 1"),
        (f'image,oktas\n{names[0]},9', "line 2: oktas '9': expected 0 to 8"),
        (f'image,cover\n{names[0]},1\n{names[0]},0', 'is there twice'),
        ('image,cover\nno.png,1', 'do the names agree?'),
    ):
        refused = calibrate(text)
        assert refused.code == 2 and why in refused.err, refused.err
    wrong = command('calibrate', table, table)
    assert wrong.code == 2 and 'line 1 is no record' in wrong.err
    assert 'expected between 0 and 1' in calibrate('image,cover\na,1', '--confidence', 90).err


def test_masks_that_are_none_are_refused(command, site, tmp_path):
    name = '20240601_1200.png'
    good = cv2.imread(str(site / 'masks' / name), cv2.IMREAD_UNCHANGED)
    (tmp_path / 'masks').mkdir()
    given = ('calibrate', site / 'records.jsonl', tmp_path / 'masks', '--camera', site / 'camera.yaml')
    for wrong, why in (
        (np.where(good == 1, 128, good), 'has the value 128: expected 0 clear sky, 1 cloud'),
        (good[:50], 'of shape (50, 96): expected one channel and the size (96, 96)'),
        (np.full_like(good, 255), 'nothing of the mask'),
    ):
        assert cv2.imwrite(str(tmp_path / 'masks' / name), wrong)
        refused = command(*given, '--out', tmp_path / 'cover.yaml')
        assert refused.code == 2 and why in refused.err, refused.err
        assert not (tmp_path / 'cover.yaml').exists()
