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
}


@pytest.fixture
def folder(tmp_path):
    """Domes of a day, of which all but the first and the last one are dark."""
    (tmp_path / 'images').mkdir()
    for number, light in enumerate((220, *[110] * len(ERRORS), 200)):
        coarse = np.random.default_rng(number).integers(light - 60, light, (8, 8, 3)).astype(np.uint8)
        image = cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)
        image[np.hypot(*(np.mgrid[:96, :96] - 47.5)) > 44] = 3
        assert cv2.imwrite(str(tmp_path / 'images' / f'20240717_120{number}.png'), image)
    (tmp_path / 'camera.yaml').write_text(CAMERA)
    return tmp_path


@pytest.fixture
def failing(monkeypatch):
    """Let the model fail for dark pictures: raise the next one of some errors, or replace its features."""

    def fail(errors, instead=None):
        features, left = HyperCLIPSegmentor.extract_feat, list(errors)

        def extract(self, inputs):
            found = features(self, inputs)
            if inputs.median() > 0:
                return found
            if instead is None:
                raise left.pop(0)
            return [torch.full_like(level, instead) for level in found]

        monkeypatch.setattr(HyperCLIPSegmentor, 'extract_feat', extract)

    return fail


def check(done, reasons):
    """Check that the records of dark pictures say how they failed, without a number of the sky, and others have one."""
    first, *failed, last = [json.loads(line) for line in done.out.splitlines()]
    assert first['cloud'] and last['cloud'] and len(failed) == len(ERRORS)
    for number, (record, reason) in enumerate(zip(failed, reasons, strict=True), 1):
        assert reason in record['error'] and ' at 0x' not in record['error'], record['error']
        assert (record['quality'], record['quality_reasons'], record['cloud']) == ('refused', ['failed'], None)
        assert record['time'].startswith(f'2024-07-17T12:0{number}')
        assert 'fractions' not in record and 'files' not in record
    assert all(reason in done.err for reason in reasons)


def check_table(file):
    with file.open() as opened:
        first, *failed, last = csv.DictReader(opened)
    assert first['all cloud fraction'] and last['all cloud fraction'] and len(failed) == len(ERRORS)
    assert all((row['quality_reasons'], row['all cloud fraction']) == ('failed', '') for row in failed)


def test_predict_loses_no_other_picture(command, folder, failing):
    failing(ERRORS.values())
    options = ['--camera', folder / 'camera.yaml', '--series', folder / 'day.csv', '--out', folder / 'out', '--json']
    done = command('predict', folder / 'images', *options, '--tracebacks')
    assert done.code == 1 and f'2 of {len(ERRORS) + 2} images written' in done.err
    check(done, ERRORS)
    check_table(folder / 'day.csv')
    assert done.err.count('Traceback') == len(ERRORS) and 'in extract raise left.pop(0) IndexError' in done.err


def test_watch_goes_on(command, folder, failing):
    failing([AssertionError()] * len(ERRORS))
    options = ['--camera', folder / 'camera.yaml', '--series', '--out', folder / 'out', '--once', '--settle', 0]
    done = command('watch', folder / 'images', *options, '--interval', 0.05, '--json')
    assert done.code == 0 and 'Traceback' not in done.err
    check(done, ['AssertionError'] * len(ERRORS))
    assert len((folder / 'out' / 'journal.jsonl').read_text().splitlines()) == len(ERRORS) + 2
    check_table(folder / 'out' / 'series' / '2024-07-17.csv')


def test_probabilities_that_are_no_numbers_are_refused(command, folder, failing):
    failing([], instead=torch.nan)
    done = command('predict', folder / 'images', '--camera', folder / 'camera.yaml', '--out', folder / 'out', '--json')
    assert done.code == 1
    check(done, ['ArithmeticError: the confidence that the model gives is not a number'] * len(ERRORS))


@pytest.mark.parametrize('ending', [KeyboardInterrupt(), SystemExit(7)], ids=repr)
def test_who_ends_the_program_ends_it(command, folder, failing, ending):
    failing([ending])
    assert command('predict', folder / 'images', '--out', folder / 'out').code in (130, 7)
