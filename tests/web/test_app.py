"""The REST interface, as a browser and as an intruder would use it."""

import base64
import io
from urllib.parse import quote

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.datasets.procedural_sky import sample_scene
from hyperbolic_seg.web.app import EXAMPLES, Limits, create_app

LIMITS = Limits(megabytes=0.25, pixels=90_000, pictures=3, side=128, prompts=4)


@pytest.fixture(scope='module')
def inferencer():
    return HyperSegInferencer('hyperclip-unet-cloud', device='cpu')


@pytest.fixture(scope='module')
def client(inferencer):
    app = create_app(inferencer, limits=LIMITS)
    return TestClient(app, base_url='http://localhost', raise_server_exceptions=False)


def png(size=(96, 64), seed=0):
    colours = np.random.default_rng(seed).integers(60, 250, (4, 4, 3)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(colours).resize(size).save(stream, 'PNG')
    return stream.getvalue()


def upload(client, content, name='sky.png'):
    return client.post('/api/pictures', files=dict(file=(name, content, 'image/png')))


def decoded(url):
    head, content = url.split(',', 1)
    assert head == 'data:image/png;base64'
    return cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_UNCHANGED)


def test_upload_ask_and_ask_again_without_encoding_anew(client, inferencer):
    picture = upload(client, png())
    assert picture.status_code == 201 and (picture.json()['width'], picture.json()['height']) == (96, 64)
    path = f'/api/pictures/{picture.json()["id"]}/segmentation'
    first = client.post(path, json=dict(prompts=['clear sky', 'cumulus; fair-weather cloud'])).json()
    hits = inferencer.model.feature_cache.hits
    second = client.post(path, json=dict(prompts=['clear sky', 'cirrus', 'sun'], threshold=0.6)).json()
    assert inferencer.model.feature_cache.hits > hits
    assert [one['name'] for one in first['classes']] == ['clear sky', 'cumulus']
    for answer, count in ((first, 2), (second, 3)):
        labels = decoded(answer['labels'])
        shares = [(labels == label).mean() for label in range(count)]
        assert shares == pytest.approx([one['fraction'] for one in answer['classes']])
        assert decoded(answer['overlay']).shape == decoded(answer['doubt']).shape == (64, 96, 3)
        assert answer['doubt_by'] == 'radius' and answer['mean_radius'] > 0
    assert sum(node['fraction'] for node in second['nodes']) == pytest.approx(1)
    known = inferencer.model.feature_cache
    inferencer.model.feature_cache = None
    anew = client.post(path, json=dict(prompts=['clear sky', 'cirrus', 'sun'], threshold=0.6)).json()
    inferencer.model.feature_cache = known
    assert anew == second, 'kept features give what new ones give'


def test_large_pictures_are_reduced_and_old_ones_forgotten(client):
    first = upload(client, png((256, 200))).json()
    assert (first['width'], first['height']) == (128, 100)
    for seed in range(LIMITS.pictures):
        upload(client, png(seed=seed + 1))
    gone = client.post(f'/api/pictures/{first["id"]}/segmentation', json={})
    assert gone.status_code == 404 and 'upload it again' in gone.json()['detail']


def test_examples_and_the_model(client):
    about = client.get('/api/model').json()
    picture = upload(client, png()).json()['id']
    client.post(f'/api/pictures/{picture}/segmentation', json=dict(prompts=['clear sky', 'cloud']))
    assert client.get('/api/model').json() == about, 'what one asks changes nothing for others'
    asked = client.post(f'/api/pictures/{picture}/segmentation', json={}).json()
    assert [one['name'] for one in asked['classes']] == about['prompts']
    assert about['examples'] == [*EXAMPLES] and 'cirrus' in about['prompts']
    picture = client.post(f'/api/examples/{about["examples"][0]}').json()
    assert max(picture['width'], picture['height']) == 128 and decoded(picture['picture']).std() > 5
    scenes = {name: sample_scene(seed) for name, seed in EXAMPLES.items()}
    assert [layer.genus.name for layer in scenes['cumulus'].layers] == ['CUMULUS']
    assert [layer.genus.name for layer in scenes['altocumulus'].layers] == ['ALTOCUMULUS']
    assert scenes['fisheye'].camera.kind == 'fisheye' and scenes['dusk'].sun.elevation < 0
    assert client.post('/api/examples/..%2F..%2Fetc').status_code == 404


def bomb():
    stream = io.BytesIO()
    Image.new('1', (12_000, 12_000)).save(stream, 'PNG')
    return stream.getvalue()


@pytest.mark.parametrize(
    'content, code, message',
    [
        (b'', 422, 'it is empty'),
        (b'no picture', 422, 'not a readable image'),
        (png()[:200], 422, 'not a readable image'),
        (bomb(), 422, 'expected at most 90000'),
        (b'\x89PNG' + bytes(400_000), 413, 'reduce the picture'),
    ],
)
def test_what_is_no_picture_is_refused(client, content, code, message):
    refused = upload(client, content)
    assert refused.status_code == code and message in refused.json()['detail']


def test_a_body_without_a_length_is_cut_off_too(client):
    def chunks():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        for _ in range(100):
            yield bytes(10_000)

    kind = {'content-type': 'multipart/form-data; boundary=x'}
    refused = client.post('/api/pictures', content=chunks(), headers=kind)
    assert refused.status_code == 413


@pytest.mark.parametrize(
    'question',
    [
        dict(prompts=['cloud']),
        dict(prompts=['', 'cloud']),
        dict(prompts=['a', 'A']),
        dict(prompts=['x' * 201, 'y']),
        dict(prompts=[f'thing {n}' for n in range(5)]),
        dict(prompts='clear sky'),
        dict(threshold=0.3),
        dict(prompts=[{'$ne': 1}, 'cloud']),
    ],
)
def test_questions_that_cannot_be_answered(client, question):
    picture = upload(client, png()).json()['id']
    refused = client.post(f'/api/pictures/{picture}/segmentation', json=question)
    assert refused.status_code == 422 and refused.json()['detail']


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400), name=st.text(max_size=40), path=st.text(max_size=40))
def test_any_upload_and_any_path_gets_an_answer(client, content, name, path):
    assert upload(client, content, name or 'x').status_code in (400, 422)
    found = client.get('/' + quote(path, safe=''))
    assert found.status_code in (200, 404, 405) and b'root:' not in found.content


def test_the_page_and_nothing_beside_it(client):
    page = client.get('/')
    assert page.status_code == 200 and 'page.js' in page.text
    assert "default-src 'self'" in page.headers['content-security-policy']
    assert client.get('/page.js').headers['content-type'].startswith('text/javascript')
    for path in ('/app.py', '/..%2fapp.py', '/%2e%2e/app.py', '/index.html/../../app.py', '//etc/passwd'):
        assert client.get(path).status_code == 404
    described = client.get('/openapi.json').json()
    assert '/api/pictures/{name}/segmentation' in described['paths']


def test_foreign_names_of_this_host_are_refused(client):
    assert client.get('/api/model', headers=dict(host='evil.example.org')).status_code == 400


def test_what_other_sites_make_a_browser_post_is_refused(client):
    content = dict(file=('sky.png', png(), 'image/png'))
    foreign = client.post('/api/pictures', files=content, headers={'Sec-Fetch-Site': 'cross-site'})
    assert foreign.status_code == 403
    assert client.post('/api/pictures', files=content, headers={'Sec-Fetch-Site': 'same-origin'}).status_code == 201


def test_words_for_which_the_server_lacks_an_encoder(client, monkeypatch):
    def encode(*_):
        raise RuntimeError('the weights cannot be had')

    monkeypatch.setattr('hyperbolic_seg.text.OpenCLIPTextEncoder.encode', encode)
    name = upload(client, png()).json()['id']
    answer = client.post(f'/api/pictures/{name}/segmentation', json=dict(prompts=['clear sky', 'a word never seen']))
    assert answer.status_code == 503 and 'weights cannot be had' in answer.json()['detail']
