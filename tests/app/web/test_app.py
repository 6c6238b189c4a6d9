"""The REST interface, as a browser and as an intruder would use it."""

import base64
import io
import re
import threading
import time
from dataclasses import replace
from urllib.parse import quote

import cv2
import numpy as np
import psutil
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.app.web.app import EXAMPLES, PAGES, create_app
from hyperbolic_seg.app.web.limits import Limits
from hyperbolic_seg.sky.renderer import sample_scene

LIMITS = Limits(
    megabytes=0.25, json_bytes=5000, pixels=90_000, images_per_client=3, images=6, side=128, prompts=4, phrases=6
)


@pytest.fixture(scope='module')
def inferencer():
    return HyperSegInferencer('hyperclip-unet-cloud', device='cpu')


@pytest.fixture(scope='module')
def app(inferencer):
    return create_app(inferencer, limits=LIMITS)


def client_at(app, address):
    options = dict(base_url='http://localhost', raise_server_exceptions=False)
    return TestClient(app, client=(address, 50_000), **options)


@pytest.fixture(scope='module')
def client(app):
    with client_at(app, '192.0.2.1') as client:
        yield client


def png(size=(96, 64), seed=0):
    colors = np.random.default_rng(seed).integers(60, 250, (4, 4, 3)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(colors).resize(size).save(stream, 'PNG')
    return stream.getvalue()


def upload(client, content, name='sky.png'):
    return client.post('/api/images', files=dict(file=(name, content, 'image/png')))


def decoded(url):
    head, content = url.split(',', 1)
    assert head == 'data:image/png;base64'
    return cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_UNCHANGED)


def test_new_prompts_for_an_image_need_no_new_encoding(client, inferencer):
    image = upload(client, png())
    assert image.status_code == 201 and (image.json()['width'], image.json()['height']) == (96, 64)
    path = f'/api/images/{image.json()["id"]}/segmentation'
    first = client.post(path, json=dict(prompts=['clear sky', 'cumulus; fair-weather cloud'])).json()
    hits = inferencer.model.feature_cache.hits
    second = client.post(path, json=dict(prompts=['clear sky', 'cirrus', 'sun'], threshold=0.6)).json()
    assert inferencer.model.feature_cache.hits > hits
    assert [one['name'] for one in first['classes']] == ['clear sky', 'cumulus']
    for answer, count in ((first, 2), (second, 3)):
        labels = decoded(answer['labels'])
        shares = [(labels == label).mean() for label in range(count)]
        assert shares == pytest.approx([one['fraction'] for one in answer['classes']])
        assert decoded(answer['overlay']).shape == decoded(answer['uncertainty']).shape == (64, 96, 3)
        assert 'radius' not in ' '.join([*answer, *answer['record']]), 'no measure of doubt'
    assert sum(node['fraction'] for node in second['nodes']) == pytest.approx(1)
    known = inferencer.model.feature_cache
    inferencer.model.feature_cache = None
    anew = client.post(path, json=dict(prompts=['clear sky', 'cirrus', 'sun'], threshold=0.6)).json()
    inferencer.model.feature_cache = known
    assert anew == second, 'kept features give what new ones give'


def test_large_images_are_reduced_for_the_screen_alone_and_old_ones_dropped(client):
    first = upload(client, png((256, 200))).json()
    assert (first['width'], first['height']) == (256, 200) and decoded(first['image']).shape == (100, 128, 3)
    answer = client.post(f'/api/images/{first["id"]}/segmentation', json={}).json()
    assert (answer['record']['width'], answer['record']['height']) == (256, 200)
    for name in ('overlay', 'labels', 'uncertainty'):
        assert decoded(answer[name]).shape[:2] == (100, 128)
    for seed in range(LIMITS.images_per_client):
        upload(client, png(seed=seed + 1))
    gone = client.post(f'/api/images/{first["id"]}/segmentation', json={})
    assert gone.status_code == 404 and 'upload it again' in gone.json()['detail']


def test_a_client_cannot_displace_images_of_another(app, client):
    quiet, loud = client_at(app, '192.0.2.2'), client_at(app, '192.0.2.3')
    mine = upload(quiet, png()).json()['id']
    for seed in range(33):
        upload(loud, png(seed=seed))
    for number in range(4, 8):
        upload(client_at(app, f'192.0.2.{number}'), png())
    assert quiet.post(f'/api/images/{mine}/segmentation', json={}).status_code == 200


def test_ids_are_random_and_not_shared(client):
    """The same image twice: two ids, of more than 128 random bits each."""
    ids = [upload(client, png()).json()['id'] for _ in range(2)]
    assert ids[0] != ids[1] and all(len(base64.urlsafe_b64decode(one)) * 8 >= 128 for one in ids)


def test_examples_are_rendered_and_the_model_described(client):
    about = client.get('/api/model').json()
    image = upload(client, png()).json()['id']
    client.post(f'/api/images/{image}/segmentation', json=dict(prompts=['clear sky', 'cloud']))
    assert client.get('/api/model').json() == about, 'what one asks changes nothing for others'
    answer = client.post(f'/api/images/{image}/segmentation', json={}).json()
    assert [one['name'] for one in answer['classes']] == about['prompts']
    assert about['examples'] == [*EXAMPLES] and 'cirrus' in about['prompts']
    image = client.post(f'/api/examples/{about["examples"][0]}').json()
    assert max(image['width'], image['height']) == 128 and decoded(image['image']).std() > 5
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
        (b'no image', 422, 'not a readable image'),
        (png()[:200], 422, 'not a readable image'),
        (bomb(), 422, 'expected at most 90000'),
        (b'\x89PNG' + bytes(400_000), 413, 'reduce the image'),
    ],
)
def test_an_upload_that_is_not_an_image_is_refused(client, content, code, message):
    refused = upload(client, content)
    assert refused.status_code == code and message in refused.json()['detail']


def test_a_body_without_a_length_is_limited(client):
    def chunks():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        for _ in range(100):
            yield bytes(10_000)

    kind = {'content-type': 'multipart/form-data; boundary=x'}
    refused = client.post('/api/images', content=chunks(), headers=kind)
    assert refused.status_code == 411


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
        dict(prompts=['cloud; a; b; c; d', 'sky; e']),
        dict(prompts=['cloud', 'sky'], other=1),
        dict(prompts=[''] * 500),
    ],
)
def test_invalid_questions_are_refused(client, question):
    image = upload(client, png()).json()['id']
    refused = client.post(f'/api/images/{image}/segmentation', json=question)
    assert refused.status_code == 422 and refused.json()['detail']


@pytest.mark.parametrize(
    'content, status',
    [
        (b'[' * 4900, (400, 422)),
        (b'{"prompts":' + b'{"a":' * 900 + b'1', (400, 422)),
        (b'{"prompts": [' + b'"",' * 3000 + b'""]}', (413,)),
        (b'{"threshold": 1e999}', (422,)),
        (b'{"threshold": NaN}', (422,)),
        (b'\xff\xfe', (400, 422)),
        (b'{"prompts": ["\\ud800", "sky"]}', (400, 422)),
    ],
)
def test_hostile_json_is_refused(client, content, status):
    image = upload(client, png()).json()['id']
    headers = {'content-type': 'application/json'}
    assert client.post(f'/api/images/{image}/segmentation', content=content, headers=headers).status_code in status


def test_errors_do_not_repeat_the_request(client):
    image = upload(client, png()).json()['id']
    secret = 'do-not-repeat-this-' * 10
    for question in (
        dict(prompts=[secret * 2, 'sky']),
        dict(threshold=secret),
        {secret: 1},
        dict(prompts=secret),
        dict(prompts=[secret[:150]] * 2),
    ):
        refused = client.post(f'/api/images/{image}/segmentation', json=question)
        assert refused.status_code == 422 and len(refused.content) < 400
        assert secret not in refused.text
    assert secret not in client.post(f'/api/examples/{secret}').text


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400), name=st.text(max_size=40), path=st.text(max_size=40))
def test_any_upload_and_any_path_gets_an_answer(client, content, name, path):
    assert upload(client, content, name or 'x').status_code in (400, 422)
    found = client.get('/' + quote(path, safe=''))
    assert found.status_code in (200, 404, 405) and b'root:' not in found.content


def test_only_the_files_of_the_page_are_served(client):
    page = client.get('/')
    assert page.status_code == 200 and 'page.js' in page.text
    assert client.get('/page.js').headers['content-type'].startswith('text/javascript')
    for path in ('/app.py', '/..%2fapp.py', '/%2e%2e/app.py', '/index.html/../../app.py', '//etc/passwd'):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize('path', PAGES)
def test_pages_load_only_files_of_this_server(client, path):
    found = client.get(f'/{path}')
    policy = found.headers['content-security-policy']
    assert found.status_code == 200 and found.headers['x-content-type-options'] == 'nosniff'
    assert "script-src 'self'" in policy and 'unsafe' not in policy and '//' not in policy
    if found.headers['content-type'].startswith('text/html'):
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', found.text)


def test_openapi_describes_every_status(client):
    paths = client.get('/openapi.json').json()['paths']
    assert set(paths) == {
        '/api/model', '/api/images', '/api/examples/{name}', '/api/images/{id}/segmentation'
    }  # fmt: skip
    for path, methods in paths.items():
        for method, described in methods.items():
            expected = {'400', '500', '503'} if method == 'get' else {'400', '403', '408', '413', '422', '500', '503'}
            assert expected <= set(described['responses']), path
    assert '404' in paths['/api/images/{id}/segmentation']['post']['responses']


def test_requests_beyond_the_queue_get_503(inferencer):
    """An image that cannot be decoded for a while delays no other request."""
    app = create_app(inferencer, limits=replace(LIMITS, waiting=1, decoders=1, decode_seconds=120))
    with client_at(app, '192.0.2.1') as client:
        upload(client, png())
        children = [one for one in psutil.Process().children() if 'decode_worker' in ' '.join(one.cmdline())]
        for child in children:
            child.suspend()
        answers = []
        uploads = [threading.Thread(target=lambda: answers.append(upload(client, png()))) for _ in range(2)]
        for one in uploads:
            one.start()
        while not answers:  # one upload waits for the decoder, the other finds the queue full
            time.sleep(0.05)
        assert client.get('/api/model').status_code == 200
        for child in children:
            child.resume()
        for one in uploads:
            one.join()
        assert [answer.status_code for answer in answers] == [503, 201] and answers[0].headers['retry-after'] == '5'


def test_the_cause_of_a_failure_goes_to_the_log_alone(inferencer, monkeypatch):
    def fail(*_, **__):
        raise KeyError('a secret')

    monkeypatch.setattr('hyperbolic_seg.text.OpenCLIPTextEncoder.encode', fail)
    with client_at(create_app(inferencer, limits=LIMITS), '192.0.2.1') as client:
        name = upload(client, png()).json()['id']
        answer = client.post(f'/api/images/{name}/segmentation', json=dict(prompts=['clear sky', 'an unknown word']))
    assert answer.status_code == 500 and 'secret' not in answer.text
    assert answer.headers['x-content-type-options'] == 'nosniff'


def test_after_a_model_that_raises_the_next_request_works(inferencer, monkeypatch):
    def fail(*_):
        raise errors.pop()

    errors = [RuntimeError('<f at 0x7f0123>'), IndexError('a secret'), MemoryError()]
    with client_at(create_app(inferencer, limits=LIMITS), '192.0.2.1') as client:
        path = f'/api/images/{upload(client, png()).json()["id"]}/segmentation'
        with monkeypatch.context() as broken:
            broken.setattr('hyperbolic_seg.models.HyperCLIPSegmentor.extract_feat', fail)
            answers = [client.post(path, json={}) for _ in range(3)]
        assert not errors and [answer.status_code for answer in answers] == [500] * 3
        assert [answer.json() for answer in answers] == [dict(detail='the server failed: its log says why')] * 3
        assert client.post(path, json={}).status_code == 200


def test_foreign_host_names_are_refused(client):
    assert client.get('/api/model', headers=dict(host='evil.example.org')).status_code == 400


def test_posts_from_pages_of_other_origins_are_refused(client):
    content = dict(file=('sky.png', png(), 'image/png'))
    assert client.post('/api/images', files=content, headers=dict(Origin='http://localhost:3000')).status_code == 403
    assert client.post('/api/images', files=content, headers=dict(Origin='http://localhost')).status_code == 201


def test_prompts_without_an_encoder_get_503(client, monkeypatch):
    def encode(*_):
        raise RuntimeError('the weights cannot be had')

    monkeypatch.setattr('hyperbolic_seg.text.OpenCLIPTextEncoder.encode', encode)
    name = upload(client, png()).json()['id']
    answer = client.post(f'/api/images/{name}/segmentation', json=dict(prompts=['clear sky', 'a word never seen']))
    assert answer.status_code == 503 and 'weights cannot be had' in answer.json()['detail']
