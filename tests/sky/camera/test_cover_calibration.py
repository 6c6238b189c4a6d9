"""Intervals of the cloud cover that are calibrated on days, in records, files and where they do not hold."""

import dataclasses

import numpy as np
import pytest
import yaml

from hyperbolic_seg.sky.camera import CoverCalibration, SkyCamera, appearance, with_interval

MODEL = dict(name='a-model', sha256='0' * 64)


def record(fraction=0.5, low=0.3, high=0.8, *, brightness=0.5, quality='ok', reasons=(), **more):
    found = dict(
        image='a.jpg',
        time='2026-06-21T12:00:00+00:00',
        sun=None,
        moon=None,
        cover={},
        regions={},
        quality=quality,
        quality_reasons=list(reasons),
        cloud=dict(fraction=fraction, low=low, high=high, oktas=round(8 * fraction)),
        appearance=dict(brightness=brightness, blueness=0.2),
        mean_confidence=0.9,
        fractions={'clear sky': 1 - fraction, 'cloud': fraction},
        model=MODEL,
    )
    return found | more


def site(days=20, *, off=0.2, seed=0):
    """Return records, true covers and days of a site whose errors are within ``off``."""
    random = np.random.default_rng(seed)
    records, truths, named = [], [], []
    for day in range(days):
        for _ in range(random.integers(1, 6)):
            fraction = random.uniform(0.2, 0.8)
            own = dict(low=fraction - 0.1, high=fraction + 0.1, brightness=random.normal(0.5, 0.05))
            records.append(record(fraction, **own))
            truths.append(fraction + random.uniform(-off, off))
            named.append(day)
    return records, truths, named


@pytest.fixture(scope='module')
def calibration():
    return CoverCalibration.of(*site())


def test_a_calibrated_interval_is_as_wide_as_the_errors_on_the_days(calibration):
    found = with_interval(record(0.5, 0.4, 0.6), calibration)
    assert found['interval'] == dict(kind='calibrated', confidence=0.9, days=20, outside=[], model=[0.4, 0.6])
    assert 0.32 < found['cloud']['high'] - found['cloud']['low'] < 0.42, 'nine tenths of errors up to 0.2'
    assert found['cloud']['fraction'] == 0.5 and found['cloud']['oktas'] == 4
    careful = CoverCalibration.of(*site(), confidence=0.95)
    assert careful.factor > calibration.factor


def test_without_a_calibration_the_interval_is_said_to_be_that_of_the_model():
    given = record()
    found = with_interval(given, None)
    assert found['interval'] == dict(kind='model', confidence=0.9, days=None, outside=[], model=[0.3, 0.8])
    assert found['cloud'] == given['cloud']
    assert with_interval(record(cloud=None), None) == record(cloud=None)


@pytest.mark.parametrize(
    ('given', 'reason'),
    [
        (dict(brightness=0.02), 'unusual brightness'),
        (dict(mean_confidence=0.5), 'unusual confidence'),
        (dict(appearance=dict(brightness=0.5, blueness=-0.6)), 'unusual blueness'),
        (dict(quality='doubtful', reasons=['blurred']), 'blurred'),
        (dict(model=MODEL | dict(sha256='1' * 64)), 'another model'),
        (dict(fractions={'clear sky': 0.5, 'fog': 0.5}), 'other prompts'),
    ],
)
def test_outside_the_guarantee_is_taken_back_and_the_wider_interval_kept(calibration, given, reason):
    narrow = dataclasses.replace(calibration, factor=0.1)
    found = with_interval(record(0.5, 0.4, 0.6, **given), narrow)
    assert found['interval']['kind'] == 'outside' and found['interval']['outside'] == [reason]
    assert (found['cloud']['low'], found['cloud']['high']) == (0.4, 0.6)


def test_few_pictures_of_new_days_are_called_unlike():
    calibration = CoverCalibration.of(*site(40))
    named = [bool(calibration.unlike(each)) for each in site(200, seed=1)[0]]
    assert 0 < np.mean(named) < 0.1


def test_calibrated_records_can_be_calibrated_again(calibration):
    records, truths, days = site()
    again = [with_interval(each, calibration) for each in records]
    assert any(each['cloud'] != other['cloud'] for each, other in zip(again, records, strict=True))
    assert CoverCalibration.of(again, truths, days) == calibration


def test_the_file_keeps_what_was_found(calibration, tmp_path):
    calibration.save(tmp_path / 'cover.yaml')
    found = CoverCalibration.load(tmp_path / 'cover.yaml')
    assert calibration.factor <= found.factor < calibration.factor + 1e-4, 'rounded up'
    assert (found.days, found.pictures, found.prompts) == (20, calibration.pictures, ('clear sky', 'cloud'))
    assert found.model == MODEL and found.unlike(record()) == []
    (tmp_path / 'camera.yaml').write_text('cover_calibration: cover.yaml\n')
    assert SkyCamera.load(tmp_path / 'camera.yaml').intervals == found


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        ('[]', 'expected the settings confidence'),
        ('factor: 1', 'expected the settings confidence'),
        ('{ALL, days: 3}', 'needs at least 9'),
        ('{ALL, factor: -1}', 'expected finite numbers'),
        ('{ALL, factor: .nan}', 'expected finite numbers'),
        ('{ALL, factor: wide}', 'wide'),
        ('{ALL, usual: {brightness: [0, 1]}}', 'expected middle and spread of brightness, blueness, confidence'),
        ('{ALL, usual: 3}', 'no attribute'),
    ],
)
def test_a_file_that_is_none_is_refused(calibration, tmp_path, text, why):
    calibration.save(tmp_path / 'cover.yaml')
    good = (tmp_path / 'cover.yaml').read_text()
    if 'ALL' in text:
        changed = yaml.safe_load(text.replace('ALL, ', ''))
        text = yaml.safe_dump(yaml.safe_load(good) | changed)
    (tmp_path / 'cover.yaml').write_text(text)
    (tmp_path / 'camera.yaml').write_text('cover_calibration: cover.yaml\n')
    with pytest.raises(ValueError, match='is no calibration of hyperbolic-seg calibrate') as refused:
        SkyCamera.load(tmp_path / 'camera.yaml')
    assert why in str(refused.value)


def test_a_missing_file_is_named(tmp_path):
    (tmp_path / 'camera.yaml').write_text('cover_calibration: cover.yaml\n')
    with pytest.raises(ValueError, match=r'the cover_calibration .*cover.yaml is missing'):
        SkyCamera.load(tmp_path / 'camera.yaml')


def test_what_cannot_be_calibrated_is_refused():
    records, truths, days = site(8)
    with pytest.raises(ValueError, match='8 days: a confidence of 0.9 needs at least 9 days'):
        CoverCalibration.of(records, truths, days)
    with pytest.raises(ValueError, match='1 day: expected several'):
        CoverCalibration.of(records, truths, [0] * len(days), confidence=0.4)
    records, truths, days = site()
    with pytest.raises(ValueError, match=r'true cover 50: expected a share of the sky'):
        CoverCalibration.of(records, [50, *truths[1:]], days)
    for wrong, why in (
        (record(model=None), 'records of several models or prompts'),
        (record(cloud=None), 'has no cover by all cloud'),
        ({key: value for key, value in record().items() if key != 'appearance'}, 'has no appearance'),
    ):
        with pytest.raises(ValueError, match=why):
            CoverCalibration.of([wrong, *records[1:]], truths, days)


def test_the_appearance_is_that_of_what_counts():
    image, weights = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4))
    image[:2], weights[:2] = (200, 100, 60), 1
    assert appearance(image, weights) == pytest.approx(dict(brightness=360 / 765, blueness=140 / 260))
    large = image.repeat(4, 0).repeat(4, 1)
    assert appearance(large, weights) == pytest.approx(appearance(image, weights)), 'weights at a reduced size'
    assert appearance(np.zeros_like(image), weights) == dict(brightness=0, blueness=0)
