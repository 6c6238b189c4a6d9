"""Uploads of a sky camera: the record is that of ``predict --json``, and what is drawn is where the sky has it."""

import base64
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import ExifTags, Image
from typer.testing import CliRunner

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.app.batch import predict_files
from hyperbolic_seg.app.cli.app import app as cli
from hyperbolic_seg.app.web.app import create_app
from hyperbolic_seg.app.web.limits import Limits
from hyperbolic_seg.images import decode_any
from hyperbolic_seg.sky.camera import SkyCamera
from hyperbolic_seg.sky.renderer import render_sky
from tests.photographs import ASCII, dng_bytes, fits_bytes, mosaic

LIMITS = Limits(side=128, decoders=1)
PROMPTS = ['clear sky', 'cumulus', 'sun', 'outside the lens']
SIZE = 160
SETTINGS = f"""center: [{SIZE / 2 - 0.5}, {SIZE / 2 - 0.5}]
radius: {SIZE / 2 - 1}
latitude: 47.0
longitude: 8.0
time_format: "%Y%m%d_%H%M"
time_fallback: file
regions: {{zenith: {{zenith_angle: [0, 30]}}}}
"""
GPS = {
    ExifTags.GPS.GPSLatitudeRef: 'S',
    ExifTags.GPS.GPSLatitude: (33.0, 30.0, 36.0),
    ExifTags.GPS.GPSLongitudeRef: 'E',
    ExifTags.GPS.GPSLongitude: (151.0, 15.0, 0.0),
}


def as_json(result):
    """Return the lines that the command printed, without the names of files."""
    assert result.exit_code in (0, 1), result.output
    return [without_files(json.loads(line)) for line in result.stdout.splitlines()]


def without_files(record):
    return {key: value for key, value in record.items() if key not in ('image', 'files')}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Pictures of a camera, and its file."""
    folder = tmp_path_factory.mktemp('camera')
    sky = render_sky(9, SIZE).image
    cv2.imwrite(str(folder / 'cam_20240717_1130.png'), sky)
    cv2.imwrite(str(folder / 'cam_20241115_2300.png'), sky[::-1])
    cv2.imwrite(str(folder / 'cam_20240717_1135.png'), np.zeros_like(sky))
    cv2.imwrite(str(folder / 'keogram_20240717_1140.png'), sky)
    (folder / 'camera.yaml').write_text(SETTINGS)
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal: '2024:01:17 12:30:00',
        ExifTags.Base.OffsetTimeOriginal: '+11:00',
    }
    exif[ExifTags.IFD.GPSInfo] = GPS
    (folder / 'exif').mkdir()
    Image.fromarray(sky[..., ::-1]).save(folder / 'exif' / 'sydney.jpg', exif=exif, quality=95)
    (folder / 'exif' / 'camera.yaml').write_text('\n'.join(SETTINGS.splitlines()[:2]))
    return folder


@pytest.fixture(scope='module')
def inferencer():
    return HyperSegInferencer('hyperclip-unet-cloud', device='cpu')


def opened(*arguments, **options):
    return TestClient(create_app(*arguments, **options), base_url='http://localhost')


@pytest.fixture(scope='module')
def client(folder, inferencer):
    camera = SkyCamera.load(folder / 'camera.yaml')
    with opened(inferencer, limits=LIMITS, camera=camera, threshold=0.6) as client:
        yield client


def answer_to(client, file, name=None, **question):
    stored = client.post('/api/images', files=dict(file=(name or file.name, file.read_bytes())))
    assert stored.status_code == 201, stored.text
    return client.post(f'/api/images/{stored.json()["id"]}/segmentation', json=dict(prompts=PROMPTS) | question)


def test_the_record_is_that_of_the_command(client, folder, tmp_path):
    """Equal to the last digit: by day and by night, black, and refused by its name; with nodes, without being asked."""
    files = sorted(folder.glob('*.png'))
    options = ['--camera', folder / 'camera.yaml', '--prompts', ','.join(PROMPTS), '--threshold', 0.6, '--json']
    arguments = ['predict', *files, *options, '--out', tmp_path]
    printed = as_json(CliRunner().invoke(cli, [str(each) for each in arguments]))
    records = [answer_to(client, file).json()['record'] for file in files]
    assert [without_files(record) for record in records] == printed
    assert [record['image'] for record in records] == [file.name for file in files]
    assert [record['quality_reasons'] for record in records] == [[], ['black'], [], ['keogram']]
    assert records[0]['time'] == '2024-07-17T11:30:00+00:00' and records[0]['time_source'] == 'name'
    assert list(records[0]['cover']) == ['clear sky', 'cumulus'] and sum(records[0]['sure'].values()) == pytest.approx(
        1
    )


def test_time_and_place_come_from_the_content(folder, inferencer, tmp_path):
    file = folder / 'exif' / 'sydney.jpg'
    camera = SkyCamera.load(file.parent / 'camera.yaml')
    inferencer.set_prompts(PROMPTS)
    (expected,) = predict_files(inferencer, [str(file)], tmp_path, camera=camera)
    with opened(inferencer, limits=LIMITS, camera=camera) as client:
        record = answer_to(client, file).json()['record']
    assert without_files(record) == without_files(expected)
    assert (record['time'], record['time_source']) == ('2024-01-17T12:30:00+11:00', 'DateTimeOriginal')
    assert record['sun']['elevation'] > 70, 'noon of a summer day, south of the equator'


def test_levels_are_those_of_the_camera(folder, inferencer, tmp_path):
    """A dark picture of a sensor with 12 bits: by its largest level alone it would be taken for one of 10 bits."""
    (folder / 'levels.yaml').write_text(SETTINGS + 'bit_depth: 12\n')
    camera = SkyCamera.load(folder / 'levels.yaml')
    cv2.imwrite(str(tmp_path / 'cam_20240717_1130.png'), render_sky(9, SIZE).image.astype(np.uint16) * 4)
    inferencer.set_prompts(PROMPTS)
    (expected,) = predict_files(inferencer, [str(tmp_path / 'cam_20240717_1130.png')], tmp_path, camera=camera)
    with opened(inferencer, limits=LIMITS, camera=camera) as client:
        record = answer_to(client, tmp_path / 'cam_20240717_1130.png').json()['record']
    assert without_files(record) == without_files(expected) and record['mean_confidence'] > 0


@pytest.mark.parametrize('name', ['sky.fits', 'sky.dng'])
def test_files_of_sensors_are_observed_and_shown(folder, inferencer, tmp_path, name):
    """The record is that of the command, and the page gets a PNG of what the model sees."""
    light = (render_sky(9, SIZE).image[..., ::-1].astype(np.uint16)) * 257
    content = {
        'sky.fits': fits_bytes(mosaic(light), BAYERPAT='RGGB', DATE_OBS='2024-07-17T11:30:00'),
        'sky.dng': dng_bytes(mosaic(light), exif=[(36867, ASCII, '2024:07:17 11:30:00')]),
    }[name]
    (tmp_path / name).write_bytes(content)
    settings = [*SETTINGS.splitlines()[:4], 'white_balance: [1.2, 1.5]']
    (tmp_path / 'camera.yaml').write_text('\n'.join(settings))
    camera = SkyCamera.load(tmp_path / 'camera.yaml')
    inferencer.set_prompts(PROMPTS)
    (expected,) = predict_files(inferencer, [str(tmp_path / name)], tmp_path, camera=camera)
    with opened(inferencer, limits=replace(LIMITS, side=SIZE), camera=camera) as client:
        stored = client.post('/api/images', files=dict(file=(name, content))).json()
        record = client.post(f'/api/images/{stored["id"]}/segmentation', json=dict(prompts=PROMPTS)).json()['record']
    assert without_files(record) == without_files(expected) and record['mean_confidence'] > 0
    assert record['time'] == '2024-07-17T11:30:00+00:00'
    assert stored['image'].startswith('data:image/png;base64,')
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(stored['image'].split(',')[1]), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(shown, decode_any(content, name, levels=camera.levels))


def test_a_time_in_folders_is_read_and_no_file_of_the_server(folder, inferencer):
    """The name is a mere name: one that exists on the server tells no time of change."""
    settings = SETTINGS.replace('%Y%m%d_%H%M', '%Y/%m/%d/%H%M')
    (folder / 'folders.yaml').write_text(settings)
    camera, file = SkyCamera.load(folder / 'folders.yaml'), folder / 'cam_20240717_1130.png'
    with opened(inferencer, limits=LIMITS, camera=camera) as client:
        inside = answer_to(client, file, name='sky/../2024/07/17/1130.png').json()['record']
        assert (inside['image'], inside['time']) == ('sky/2024/07/17/1130.png', '2024-07-17T11:30:00+00:00')
        outside = answer_to(client, file, name=str(file)).json()['record']
        assert outside['time'] is None and outside['sun'] is None
        assert not outside['image'].startswith('/') and outside['cloud'] is not None


@pytest.mark.parametrize('name', ['../../etc/passwd', '..\\..\\a\r\nb.png', '\0', 'x' * 3000, '\u202egnp.jpg', '/', ''])
def test_any_name_is_made_harmless(client, folder, name):
    content = (folder / 'cam_20240717_1130.png').read_bytes()
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="' + name.encode()[:3000] + b'"\r\n\r\n'
    headers = {'content-type': 'multipart/form-data; boundary=edge'}
    stored = client.post('/api/images', content=head + content + b'\r\n--edge--\r\n', headers=headers)
    assert stored.status_code in (201, 400, 422)
    if stored.status_code == 201:
        shown = stored.json()['name']
        assert shown and len(shown) <= 1610 and shown.isprintable() and '..' not in shown and shown[0] != '/'


def test_a_refused_picture_has_reasons_and_no_maps(client, folder):
    answer = answer_to(client, folder / 'cam_20240717_1135.png').json()
    assert answer['record']['quality'] == 'refused' and answer['record']['cloud'] is None
    assert answer['classes'] == [] and not {'overlay', 'labels', 'uncertainty', 'nodes'} & set(answer)
    assert not {'fractions', 'sure', 'mean_confidence'} & set(answer['record'])
    assert answer['marks']['sun'] is not None, 'where the sun is does not depend on the picture'
    about = client.get('/api/model').json()
    assert 'dead sensor' in about['reasons']['black'] and about['camera'] and not about['watched']


def test_sun_moon_and_what_does_not_count_are_drawn_where_they_are(client, folder):
    """Positions by the equation of an equidistant lens: north is up, east left, and the rim is the horizon."""
    center, radius = SIZE / 2 - 0.5, SIZE / 2 - 1
    for file, body in (('cam_20240717_1130.png', 'sun'), ('cam_20241115_2300.png', 'moon')):
        answer = answer_to(client, folder / file).json()
        found, drawn = answer['record'][body], answer['marks'][body]
        away, azimuth = radius * (90 - found['elevation']) / 90, np.radians(found['azimuth'])
        expected = center - away * np.sin(azimuth), center - away * np.cos(azimuth)
        assert (drawn['x'], drawn['y']) == pytest.approx(expected, abs=1e-6)
        head, content = answer['marks']['hidden'].split(',')
        shade = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_UNCHANGED)[..., 3]
        scale = shade.shape[0] / SIZE
        row, column = round((drawn['y'] + 0.5) * scale - 0.5), round((drawn['x'] + 0.5) * scale - 0.5)
        assert head.startswith('data:image/png') and shade[row, column] > 0, 'the mask around it'
        assert shade[64, 64] == 0 and shade[0, 0] > 0, 'the zenith counts, what is outside the lens does not'
    assert answer['marks']['sun'] is None, 'it is below the horizon'


def test_a_threshold_of_null_is_none_and_another_one_counts(client, folder):
    file = folder / 'cam_20240717_1130.png'
    assert 'sure' not in answer_to(client, file, threshold=None).json()['record']
    default, other = answer_to(client, file).json(), answer_to(client, file, threshold=0.99).json()
    assert default['record']['sure'] != other['record']['sure'] and client.get('/api/model').json()['threshold'] == 0.6


def test_an_example_is_of_no_camera(client):
    stored = client.post('/api/examples/fisheye').json()
    answer = client.post(f'/api/images/{stored["id"]}/segmentation', json=dict(prompts=PROMPTS)).json()
    assert 'cloud' not in answer['record'] and 'marks' not in answer and answer['record']['image'] == 'fisheye'


def test_a_picture_of_another_camera_is_an_error(inferencer, folder, tmp_path):
    (folder / 'sized.yaml').write_text(SETTINGS + f'image_size: [{SIZE}, {SIZE}]\n')
    camera = SkyCamera.load(folder / 'sized.yaml')
    cv2.imwrite(str(tmp_path / 'wide.png'), render_sky(9, SIZE).image[:80])
    with opened(inferencer, limits=LIMITS, camera=camera) as other:
        refused = answer_to(other, tmp_path / 'wide.png')
    assert refused.status_code == 422 and 'another shape' in refused.json()['detail']


def test_without_a_camera_quality_is_given_if_prompts_speak_of_the_sky(inferencer, folder, tmp_path):
    files = [folder / name for name in ('cam_20240717_1130.png', 'cam_20240717_1135.png')]
    with opened(inferencer, limits=LIMITS) as client:
        for prompts in (PROMPTS, ['obstruction', 'outside the lens']):
            records = [answer_to(client, file, prompts=prompts).json()['record'] for file in files]
            inferencer.set_prompts(prompts)
            expected = list(predict_files(inferencer, [str(file) for file in files], tmp_path))
            assert list(map(without_files, records)) == list(map(without_files, expected))
            assert ('quality' in records[0]) == (prompts is PROMPTS)
    assert 'sure' not in records[0]


def test_more_pixels_and_prompts_than_memory_are_refused(inferencer, folder, monkeypatch):
    """By a model that looks at all pixels together, to remove small areas."""
    monkeypatch.setitem(inferencer.model.test_cfg, 'min_area', 0.001)
    limits = Limits(side=128, decoders=1, predict_bytes=SIZE * SIZE * 13 * 3)
    with opened(inferencer, limits=limits) as client:
        refused = answer_to(client, folder / 'cam_20240717_1130.png')
        assert refused.status_code == 422 and '160 x 160 pixels with 4 prompts' in refused.json()['detail']
        assert answer_to(client, folder / 'cam_20240717_1130.png', prompts=PROMPTS[:3]).status_code == 200


def test_openapi_describes_what_is_answered(client, folder):
    """Every key of a record is described, whatever the picture."""
    schemas = client.get('/openapi.json').json()['components']['schemas']
    for file in folder.glob('*.png'):
        answer = answer_to(client, file).json()
        assert set(answer) <= set(schemas['Segmentation']['properties'])
        assert set(answer['record']) <= set(schemas['Record']['properties'])
