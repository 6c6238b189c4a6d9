"""A model that fails for one picture of several, by predict and by watch."""

import csv
import json

import cv2
import numpy as np
import pytest
import torch

from hyperbolic_seg.models import HyperCLIPSegmentor

CAMERA = """center: [47.5, 47.5]
radius: 44
latitude: 59.9
longitude: 10.7
time_format: "%Y%m%d_%H%M"
"""
ERRORS = {
    'IndexError: index 7': IndexError('index 7'),
    "KeyError: 'a word'": KeyError('a word'),
    'cv2.error: (-215) no size': cv2.error('(-215) no size'),
    'MemoryError': MemoryError(),
    'RuntimeError: <function f> has no kernel': RuntimeError('<function f at 0x7f0123456789> has no kernel'),
    'AssertionError': AssertionError(),
}


@pytest.fixture
def folder(tmp_path):
    """Three domes of a day, of which the second one is dark."""
    for number, light in enumerate((220, 110, 200)):
        coarse = np.random.default_rng(number).integers(light - 60, light, (8, 8, 3)).astype(np.uint8)
        image = cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)
        image[np.hypot(*(np.mgrid[:96, :96] - 47.5)) > 44] = 3
        (tmp_path / 'images').mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / 'images' / f'20240717_12{number}0.png'), image)
    (tmp_path / 'camera.yaml').write_text(CAMERA)
    return tmp_path


@pytest.fixture
def failing(monkeypatch):
    """Let the model fail for dark pictures: raise an error, or replace its features by those of a function."""

    def fail(how):
        features = HyperCLIPSegmentor.extract_feat

        def extract(self, inputs):
            found = features(self, inputs)
            if inputs.median() > 0:
                return found
            if isinstance(how, Exception):
                raise how
            return [how(level) for level in found]

        monkeypatch.setattr(HyperCLIPSegmentor, 'extract_feat', extract)

    return fail


def records(done):
    return {json.loads(line)['image'][-8:-4]: json.loads(line) for line in done.out.splitlines()}


def check(found, said):
    """Check that one record says how it failed and has no number of the sky, and that the others have."""
    failed = found.pop('1210')
    assert said in failed['error'] and ' at 0x' not in failed['error'], failed['error']
    assert (failed['quality'], failed['quality_reasons'], failed['cloud']) == ('refused', ['failed'], None)
    assert failed['time'].startswith('2024-07-17T12:10') and 'fractions' not in failed and 'files' not in failed
    assert [*found] == ['1200', '1220'] and all(record['cloud'] for record in found.values())


@pytest.mark.parametrize('said', ERRORS)
def test_predict_loses_no_other_picture(command, folder, failing, said):
    failing(ERRORS[said])
    options = ['--camera', folder / 'camera.yaml', '--series', folder / 'day.csv', '--out', folder / 'out', '--json']
    done = command('predict', folder / 'images', *options)
    assert done.code == 1 and '2 of 3 images written' in done.err and 'Traceback' not in done.err
    assert f'20240717_1210.png: {said}' in done.err
    check(records(done), said)
    with (folder / 'day.csv').open() as file:
        first, failed, last = csv.DictReader(file)
    assert (failed['quality'], failed['quality_reasons'], failed['all cloud fraction']) == ('refused', 'failed', '')
    assert first['all cloud fraction'] and last['all cloud fraction']


@pytest.mark.parametrize('said', ["KeyError: 'a word'", 'RuntimeError: <function f> has no kernel'])
def test_watch_goes_on(command, folder, failing, said):
    failing(ERRORS[said])
    out = folder / 'out'
    options = ['--camera', folder / 'camera.yaml', '--series', '--out', out, '--once', '--settle', 0]
    done = command('watch', folder / 'images', *options, '--interval', 0.05, '--json')
    again = 'RuntimeError' in said
    assert done.code == again and said in done.err
    if not again:
        check(records(done), said)
        assert len((out / 'journal.jsonl').read_text().splitlines()) == 3
        with (out / 'series' / '2024-07-17.csv').open() as file:
            assert [row['quality'] == 'refused' for row in csv.DictReader(file)] == [False, True, False]


def test_probabilities_that_are_no_numbers_are_refused(command, folder, failing):
    failing(lambda features: torch.full_like(features, torch.nan))
    done = command('predict', folder / 'images', '--camera', folder / 'camera.yaml', '--out', folder / 'out', '--json')
    assert done.code == 1
    check(records(done), 'ArithmeticError: the confidence that the model gives is not a number')


def test_tracebacks_are_printed_if_asked_for(command, folder, failing):
    failing(IndexError('index 7'))
    options = ['--out', folder / 'out', '--tracebacks', '--prompts', 'clear sky, cloud']
    done = command('predict', folder / 'images', *options)
    assert done.code == 1 and done.err.count('Traceback') == 1 and 'in extract raise how IndexError' in done.err


@pytest.mark.parametrize('ending', [KeyboardInterrupt(), SystemExit(7)], ids=repr)
def test_who_ends_the_program_ends_it(command, folder, failing, ending):
    failing(IndexError())
    images = folder / 'images'

    def leave(*_):
        raise ending

    HyperCLIPSegmentor.extract_feat = leave
    assert command('predict', images, '--out', folder / 'out').code in (130, 7)
