"""What real sky cameras make, through the released model: pictures, masks and sizes that were found in public."""

import cv2
import numpy as np
import pytest

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.app.batch import predict_file
from hyperbolic_seg.app.failures import refusal
from hyperbolic_seg.sky.camera import SkyCamera

PROMPTS = ['clear sky', 'cloud', 'obstruction']
CLOUDLESS = '2024-08-23T09-30-00-006516+00-00.png'


@pytest.fixture(scope='module')
def cases(real_data):
    folder = real_data.parent / 'cases' / 'sky_camera'
    if not folder.is_dir():
        pytest.skip(f'pictures of a public sky camera are not at {folder}')
    return folder


@pytest.fixture(scope='module')
def record_of(cases, tmp_path_factory):
    """Returns the record of a file or an array by one of the camera files."""
    inferencer, folder = HyperSegInferencer('hyperclip-unet-cloud'), tmp_path_factory.mktemp('records')
    inferencer.set_prompts(PROMPTS)

    def predict(image, camera='camera.yaml', **settings):
        file = cases / image if isinstance(image, str) else folder / 'image.png'
        if not isinstance(image, str):
            cv2.imwrite(str(file), image)
        loaded = SkyCamera.load(cases / camera)
        for name, value in settings.items():
            object.__setattr__(loaded, name, value)
        return predict_file(inferencer, str(file), folder, 'image', camera=loaded)

    return predict


@pytest.fixture(scope='module')
def overcast(cases):
    return cv2.imread(str(cases / 'overcast_8.png'), cv2.IMREAD_UNCHANGED)


def test_an_overcast_sky_is_overcast_at_any_depth_of_levels(record_of, overcast):
    plain = record_of('overcast_8.png')['cloud']
    assert plain['oktas'] in (7, 8)
    found = [record_of('overcast_12in16.png')]
    for bits in (10, 14):
        spread = overcast.astype(np.uint16) << (bits - 8)
        spread[0, 0] = 2**bits - 1
        found.append(record_of(spread))
    for record in found:
        assert record['cloud']['fraction'] == pytest.approx(plain['fraction'], abs=0.05)


def test_a_cloudless_sky_has_hardly_any_cloud_with_its_mask_and_without(record_of):
    masked, plain = (record_of(CLOUDLESS, camera) for camera in ('camera_mask.yaml', 'camera.yaml'))
    assert masked['cloud']['fraction'] <= 0.05 and plain['cloud']['fraction'] <= 0.05
    assert masked['quality'] == 'doubtful' and masked['quality_reasons'] == ['unsure'], 'the model knows no such camera'
    for drawn in ('jpeg', 'black_is_16'):
        other = record_of(CLOUDLESS, f'camera_mask_{drawn}.yaml')
        assert other['cloud']['fraction'] == pytest.approx(masked['cloud']['fraction'], abs=0.002)


@pytest.mark.parametrize('factor', [0.5, 2])
def test_pictures_of_another_size_have_the_same_cover_or_are_refused(record_of, overcast, factor):
    scaled = cv2.resize(overcast, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    height, width = overcast.shape[:2]
    known = record_of(scaled, image_size=(width, height))
    assert known['cloud']['oktas'] == record_of('overcast_8.png')['cloud']['oktas']
    unknown = record_of(scaled)
    if 'error' in unknown:
        assert f'{scaled.shape[1]} x {scaled.shape[0]}' in refusal(unknown)
    else:
        assert unknown['cloud']['oktas'] == known['cloud']['oktas']


def test_what_is_no_picture_has_no_cover(record_of, overcast):
    random = np.random.default_rng(0)
    card = np.full(overcast.shape, 60, np.uint8)
    cv2.putText(card, 'camera is not running', (60, 400), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 4)
    cap = np.clip(random.normal(50, 25, overcast.shape), 0, 255).astype(np.uint8)
    for image, reason in ((np.zeros_like(overcast), 'black'), (cap, 'noise'), (card, 'text card')):
        record = record_of(image)
        assert record['quality'] == 'refused' and record['quality_reasons'][0] == reason
        assert record['cloud'] is None and not record['cover'] and 'fractions' not in record and 'files' not in record
        assert refusal(record).startswith(f'no picture of the sky: {reason}: ')


@pytest.mark.parametrize('name', ['01_sydney_S', '02_sydney_s_lower', '04_sydney_S_nul', '05_sydney_S_space'])
def test_sydney_is_in_the_south(cases, name):
    sun = SkyCamera.load(cases / 'exif' / 'camera.yaml').unseen(cases / 'exif' / f'{name}.jpg').sun
    assert sun.elevation == pytest.approx(77.3, abs=0.1) and sun.azimuth == pytest.approx(4.5, abs=0.3)


def test_the_overlay_says_what_is_doubtful(record_of):
    overlay = cv2.imread(record_of(CLOUDLESS, 'camera_mask.yaml')['files']['overlays'])
    plain = cv2.imread(record_of('overcast_8.png')['files']['overlays'])
    assert overlay.shape[0] - plain.shape[0] == pytest.approx(22, abs=8), 'a line more'
