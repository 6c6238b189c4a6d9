"""The model server of docs/serving.md: its code runs as written, with Ray Serve where that is installed."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from types import ModuleType

import cv2
import httpx
import numpy as np
import pytest
from fastapi import UploadFile

from hyperbolic_seg.app.batch import predict_files
from hyperbolic_seg.sky.renderer import render_sky

MODEL = 'hyperclip-unet-cloud'


@pytest.fixture(scope='module')
def code(repository):
    page = (repository / 'docs' / 'serving.md').read_text(encoding='utf-8')
    (found,) = re.findall(r'```python\n(.*?)```', page, re.S)
    return found


class Deployment:
    """What `serve.deployment` makes of a class, without processes."""

    def __init__(self, kind, **options):
        self.kind, self.given = kind, options

    def options(self, **more):
        return Deployment(self.kind, **self.given | more)

    def bind(self, *arguments):
        return self, arguments


@pytest.fixture(scope='module')
def server(code):
    """The names of the page, run with a stand-in for Ray."""
    ray, serve = ModuleType('ray'), ModuleType('ray.serve')
    serve.Application, serve.ingress = tuple, lambda web: lambda kind: kind
    serve.deployment = lambda **options: lambda kind: Deployment(kind, **options)
    ray.serve = serve
    names = {'__name__': 'cloud_server'}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, 'ray', ray)
        patch.setitem(sys.modules, 'ray.serve', serve)
        exec(compile(code, 'serving.md', 'exec'), names)
    return names


@pytest.fixture(scope='module')
def clouds(server):
    deployment, (model,) = server['app'](dict(model=MODEL, replicas='2'))
    assert deployment.given['num_replicas'] == 2 and model == MODEL
    return deployment.kind(model)


@pytest.fixture(scope='module')
def sky():
    return cv2.imencode('.jpg', render_sky(10, 96).image)[1].tobytes()


def ask(clouds, content, name='sky.jpg', prompts=None):
    answer = clouds.predict(UploadFile(io.BytesIO(content), filename=name), prompts)
    return answer.status_code, json.loads(answer.body)


def test_an_answer_is_the_record_of_predict(clouds, sky, tmp_path):
    (tmp_path / 'sky.jpg').write_bytes(sky)
    for prompts in (['clear sky', 'cumulus'], None):
        status, record = ask(clouds, sky, prompts=prompts)
        (wanted,) = predict_files(clouds.inferencer, [str(tmp_path / 'sky.jpg')], tmp_path / 'out', maps=False)
        assert (status, record) == (200, wanted | dict(image='sky.jpg'))
        assert prompts is None or list(record['fractions']) == prompts


def test_what_cannot_be_answered_is_said(clouds, sky):
    assert 'at least two prompts' in ask(clouds, sky, prompts=['cumulus'])[1]['detail']
    status, told = ask(clouds, b'no image', '../../bad.jpg')
    assert status == 422 and told['detail'].startswith('bad.jpg is not a readable image')
    black = cv2.imencode('.png', np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    status, record = ask(clouds, black, 'black.png')
    assert (status, record['quality'], record['quality_reasons']) == (200, 'refused', ['black'])


@pytest.mark.skipif(find_spec('ray') is None, reason="Ray is not installed: pip install 'ray[serve]'")
def test_ray_serves_the_page(code, sky, tmp_path):
    (tmp_path / 'cloud_server.py').write_text(code)
    command = [sys.executable, '-m', 'ray.serve.scripts', 'run', 'cloud_server:app', f'model={MODEL}', 'replicas=1']
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get('PYTHONPATH')])])
    environment = os.environ | dict(PYTHONPATH=paths, RAY_USAGE_STATS_ENABLED='0')
    with (tmp_path / 'log').open('w') as log:
        serving = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(serving, tmp_path / 'log')
        form = dict(prompts=['clear sky', 'cumulus'])
        answer = httpx.post('http://127.0.0.1:8000/predict', files=dict(file=('a.jpg', sky)), data=form, timeout=120)
        assert answer.status_code == 200 and sum(answer.json()['fractions'].values()) == pytest.approx(1)
    finally:
        serving.send_signal(signal.SIGINT)
        serving.wait(60)


def wait_for(serving, log):
    end = time.monotonic() + 300
    while 'is ready' not in log.read_text():
        assert serving.poll() is None and time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.5)
