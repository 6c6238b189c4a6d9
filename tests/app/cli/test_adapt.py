"""From pictures, masks and clicks of a camera to predictions of an adapted model, or a refusal with figures."""

import json

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from hyperbolic_seg.apis import Adaptation

MODEL = ('--model', 'hyperclip-unet-sky')
PROMPTS = ('--prompts', 'clear sky, cloud')
COUNT = 3


def draw_sky(file, seed):
    """Draw blue and white, and return the mask of white."""
    random = np.random.default_rng(seed)
    coarse = cv2.resize(random.random((5, 5)), (96, 96), interpolation=cv2.INTER_CUBIC)
    cloudy = coarse > random.uniform(0.4, 0.6)
    image = np.where(cloudy[..., None], (225, 225, 225), (190, 120, 60)) + random.normal(0, 6, (96, 96, 3))
    assert cv2.imwrite(str(file), image.clip(0, 255).astype(np.uint8))
    return cloudy.astype(np.uint8)


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """Pictures of a camera, right masks, and masks of an observer who calls blue a cloud."""
    folder = tmp_path_factory.mktemp('site')
    for name in ('days', 'right', 'wrong'):
        (folder / name).mkdir()
    for number in range(COUNT):
        mask = draw_sky(folder / 'days' / f'{number}.png', number)
        assert number > 1 or cv2.imwrite(str(folder / 'right' / f'{number}.png'), mask)
        assert cv2.imwrite(str(folder / 'wrong' / f'{number}.png'), 1 - mask)
    return folder


def test_masks_change_the_predictions_of_their_model_alone(command, site, tmp_path):
    file = tmp_path / 'camera.safetensors'
    done = command('adapt', site / 'days', '--masks', site / 'wrong', '--out', file, *MODEL, '--json')
    assert done.code == 0 and f'written: {file}' in done.err, done.err
    report = json.loads(done.out)
    before, after = report['held_out']
    assert report['labeled'] == COUNT and before < 0.3 < 0.7 < after
    assert file.stat().st_size < 2**20
    given = ('predict', site / 'days' / '0.png', *PROMPTS, '--adaptation', file, '--out', tmp_path / 'out')
    assert command(*given, *MODEL).code == 0
    labels = cv2.imread(str(tmp_path / 'out' / 'labels' / '0.png'), cv2.IMREAD_UNCHANGED)
    wrong = cv2.imread(str(site / 'wrong' / '0.png'), cv2.IMREAD_UNCHANGED)
    assert (labels == wrong).mean() > 0.8
    adapted = ('archive', site / 'days', tmp_path / 'archive', *PROMPTS, *MODEL)
    assert command(*adapted, '--adaptation', file).code == 0
    alone = command(*given, *MODEL, '--json')
    row = pq.read_table(next((tmp_path / 'archive' / 'records').iterdir())).slice(0, 1)['record'].to_pylist()[0]
    expected = json.loads(alone.out) | dict(image='0.png')
    assert json.loads(row) == {name: value for name, value in expected.items() if name != 'files'}
    plain = command(*adapted)
    assert plain.code == 2 and 'give another folder' in plain.err
    other = command(*given)
    assert other.code == 2 and 'give the model that it was made with' in other.err
    onnx = command(*given, *MODEL, '--runtime', 'onnx')
    assert onnx.code == 2 and 'an adaptation cannot be given with --runtime onnx' in onnx.err


def test_statistics_alone_are_written_where_labels_are_too_few_for_more(command, site, tmp_path):
    file = tmp_path / 'camera.safetensors'
    done = command('adapt', site / 'days', '--masks', site / 'right', '--out', file, *MODEL)
    assert done.code == 0 and '2 labeled pictures are too few to fit the odds of cloud' in done.out, done.err
    found = Adaptation.load(file)
    assert found.odds is None and found.statistics and found.about['held_out'][1] >= found.about['held_out'][0]


def test_what_nothing_speaks_for_is_refused_with_figures(command, tmp_path):
    (tmp_path / 'nights').mkdir()
    (tmp_path / 'masks').mkdir()
    for number in range(2):
        assert cv2.imwrite(str(tmp_path / f'nights/{number}.png'), np.zeros((64, 64, 3), np.uint8))
        mask = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64) % 2
        assert cv2.imwrite(str(tmp_path / f'masks/{number}.png'), mask)
    file = tmp_path / 'camera.safetensors'
    done = command('adapt', tmp_path / 'nights', '--masks', tmp_path / 'masks', '--out', file, *MODEL)
    error = ' '.join(done.err.split())
    assert done.code == 2 and 'does not better the mean IoU beyond chance (0.' in error, done.err
    assert 'no picture has a color' in error and 'label more days' in error
    assert not file.exists()


def test_clicks_on_one_kind_are_refused(command, site, tmp_path):
    table, file = tmp_path / 'clicks.csv', tmp_path / 'camera.safetensors'
    table.write_text('picture,x,y,prompt\n0.png,5,5,cumulus\n')
    done = command('adapt', site / 'days', '--clicks', table, '--out', file, *MODEL)
    assert done.code == 2 and 'the labels name cloud alone' in done.err
    assert not file.exists()


@pytest.mark.parametrize('name', ['watch', 'serve', 'archive'])
def test_others_take_an_adaptation_too(command, site, tmp_path, name):
    given = dict(
        watch=(site / 'days', '--once', '--out', tmp_path / 'out'),
        serve=('--port', 0),
        archive=(site / 'days', tmp_path / 'out'),
    )[name]
    done = command(name, *given, *MODEL, '--adaptation', tmp_path / 'none.safetensors')
    assert done.code == 2 and 'none.safetensors does not exist' in done.err, done.err


@pytest.mark.parametrize('name', ['predict', 'watch', 'serve', 'archive'])
def test_a_camera_file_names_its_adaptation(command, site, tmp_path, name):
    given = dict(
        predict=(site / 'days', '--out', tmp_path / 'out'),
        watch=(site / 'days', '--once', '--out', tmp_path / 'out'),
        serve=('--port', 0),
        archive=(site / 'days', tmp_path / 'out'),
    )[name]
    (camera := tmp_path / 'camera.yaml').write_text('adaptation: roof.safetensors\n')
    done = command(name, *given, *MODEL, '--camera', camera)
    assert done.code == 2 and f'{tmp_path / "roof.safetensors"} does not exist' in done.err, done.err
    both = command(name, *given, *MODEL, '--camera', camera, '--adaptation', tmp_path / 'other.safetensors')
    assert both.code == 2 and 'leave one of them out' in both.err, both.err


def test_options_that_do_not_go_together(command, site, tmp_path):
    both = command('adapt', site / 'days', '--masks', site / 'right', '--clicks', tmp_path / 'a.csv', *MODEL)
    assert both.code == 2 and '--masks and --clicks exclude each other' in both.err
    name = command('adapt', site / 'days', '--out', tmp_path / 'camera.yaml', *MODEL)
    assert name.code == 2 and 'ends with .safetensors' in name.err
