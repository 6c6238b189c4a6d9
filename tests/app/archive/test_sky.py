"""Records of an archive are those of ``predict --json``, also where a picture depends on those before it."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import cv2
import numpy as np
import pytest

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.app.archive import SkyPredictor, SkyRecipe, archive, connected
from hyperbolic_seg.app.batch import predict_files
from hyperbolic_seg.sky.camera import CoverCalibration, SkyCamera
from hyperbolic_seg.sky.camera.cover_calibration import FEATURES
from hyperbolic_seg.sky.renderer import render_sky, sample_scene
from tests.app.archive.skies import rows_of

SIDE = 64
CAMERA = SkyCamera(
    center=(31.5, 31.5), radius=31, time_format='%Y%m%d_%H%M%S', timezone='Europe/Oslo', latitude=59.9, longitude=10.7
)


@pytest.fixture(scope='module')
def inferencer():
    found = HyperSegInferencer('hyperclip-unet-cloud', device='cpu')
    found.set_prompts(['clear sky', 'cloud'])
    return found


@pytest.fixture(scope='module')
def client():
    with connected('threads', 2) as found:
        yield found


@pytest.fixture(scope='module')
def frames():
    scene = sample_scene(9, camera='fisheye', time='day', genera=['cumulus']).plain()
    image = render_sky(9, SIDE, scene=replace(scene, camera=replace(scene.camera, surround=0))).image
    noise = np.random.default_rng(0)
    return [np.clip(image + noise.normal(0, 2, image.shape), 0, 255).astype(np.uint8) for _ in range(16)]


def write(folder, names, frames):
    folder.mkdir()
    for name, frame in zip(names, frames, strict=True):
        assert cv2.imwrite(str(folder / f'{name}.png'), frame)


LOADED = []  # not in the recipe, which is sent to workers


def loaded():
    return LOADED[0]


def recipe(inferencer, camera, threshold=None):
    """A recipe for this process, whose model is loaded."""
    LOADED[:] = [inferencer]
    return SkyRecipe(loaded, threshold=threshold, camera=camera)


def records(folder, out):
    found = [json.loads(row['record']) for row in rows_of(out)]
    return [record | dict(image=str(folder / record['image'])) for record in found]


def named_alike(record):
    """A record whose messages do not depend on where its file was read."""
    return record | dict(error=record['error'].rpartition('/')[2]) if 'error' in record else record


@pytest.mark.parametrize('size', [1, 3])
def test_records_are_those_of_predict(inferencer, client, frames, tmp_path, size):
    times = [datetime(2024, 6, 21, 12) + timedelta(minutes=minute) for minute in range(12)]
    # The camera freezes from the fourth picture on, with two pictures between that are unreadable and black.
    shown = [*frames[:3], *[frames[3]] * 9]
    names = [f'{time:%Y%m%d_%H%M%S}' for time in times]
    source = tmp_path / 'source'
    write(source, names, shown)
    (source / f'{names[6]}.png').write_bytes(b'no picture')
    cv2.imwrite(str(source / f'{names[7]}.png'), np.zeros_like(frames[0]))
    files = sorted(map(str, source.iterdir()))
    expected = list(predict_files(inferencer, files, tmp_path / 'serial', camera=CAMERA, threshold=0.6, maps=False))
    refused = [record for record in expected if record.get('quality') == 'refused']
    assert [record['quality_reasons'][0] for record in refused].count('repeated') == 5
    out = tmp_path / 'out'
    summary = archive(str(source), str(out), recipe(inferencer, CAMERA, 0.6), client, size=size)
    assert not summary.failures and summary.refused == 7
    found = [named_alike(record) for record in records(source, out)]
    assert found == [named_alike(record) for record in json.loads(json.dumps(expected))]
    row = rows_of(out)[0]
    assert row['oktas'] == expected[0]['cloud']['oktas'] and dict(row['fractions']) == expected[0]['fractions']
    assert row['time'].isoformat() == '2024-06-21T10:00:00+00:00'


def test_the_hour_that_comes_twice_is_that_of_predict_or_refused(inferencer, client, frames, tmp_path):
    """Clocks were put back at 3 o'clock on this day."""
    minutes = [*range(90, 180, 10), *range(120, 190, 10)]
    times = [datetime(2024, 10, 27) + timedelta(minutes=each) for each in minutes]
    source = tmp_path / 'source'
    write(source, [f'a{n:03d}_{time:%Y%m%d_%H%M%S}' for n, time in enumerate(times)], frames)
    files = sorted(map(str, source.iterdir()))
    expected = list(predict_files(inferencer, files, tmp_path / 'serial', camera=CAMERA, maps=False))
    assert [record['time'][-6:] for record in expected[3:]] == ['+02:00'] * 6 + ['+01:00'] * 7
    found = recipe(inferencer, CAMERA)
    summary = archive(str(source), str(tmp_path / 'few'), found, client, size=13)
    assert summary.partitions > 1 and not summary.failures
    assert records(source, tmp_path / 'few') == json.loads(json.dumps(expected))
    short = archive(str(source), str(tmp_path / 'many'), found, client, size=1)
    assert short.failures and all('an hour that comes twice' in failure.reason for failure in short.failures[:10])
    times_of = {record['image']: record['time'] for record in expected}
    assert all(times_of[record['image']] == record['time'] for record in records(source, tmp_path / 'many'))


def test_a_fingerprint_names_all_that_a_record_depends_on(inferencer, tmp_path):
    def fingerprint(camera=CAMERA, **options):
        return SkyPredictor(inferencer, camera=camera, **options).fingerprint

    assert fingerprint() == fingerprint()
    mask = tmp_path / 'mask.png'
    found = [fingerprint(), fingerprint(threshold=0.6), fingerprint(camera=None)]
    found.append(fingerprint(camera=replace(CAMERA, north=5.0)))
    for level in (255, 128):
        cv2.imwrite(str(mask), np.full((SIDE, SIDE), 255, np.uint8))
        painted = np.full((SIDE, SIDE), 255, np.uint8)
        painted[: level // 8] = 0
        cv2.imwrite(str(mask), painted)
        found.append(fingerprint(camera=replace(CAMERA, mask=str(mask))))
    for factor in (1.0, 2.0):
        usual = dict.fromkeys(FEATURES, (0.5, 0.1))
        CoverCalibration(0.9, factor, 30, 30, {}, ('clear sky', 'cloud'), usual, 3.0).save(tmp_path / 'cover.yaml')
        found.append(fingerprint(camera=replace(CAMERA, cover_calibration=str(tmp_path / 'cover.yaml'))))
    inferencer.set_prompts(['clear sky', 'cumulus'])
    found.append(fingerprint())
    inferencer.set_prompts(['clear sky', 'cloud'])
    assert len(set(found)) == len(found) and fingerprint() == found[0]
    # A model names its adaptation itself, so the file may lie anywhere.
    assert fingerprint(camera=replace(CAMERA, adaptation='roof.safetensors')) == found[0]
