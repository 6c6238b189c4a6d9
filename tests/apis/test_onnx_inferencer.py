"""Predictions of a promptable file, against those of PyTorch."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from hyperbolic_seg.apis import HyperSegInferencer, OnnxInferencer, export_promptable, onnx_inferencer
from hyperbolic_seg.apis.promptable import PromptableSegmentor, metadata_of, words_of
from hyperbolic_seg.images import REDUCED_PIXELS
from hyperbolic_seg.sky.renderer import render_sky, sample_scene
from tests.stack import needs_export

MODELS = ('hyperclip-unet-cloud', 'hyperclip-unet-sky')
PROMPTS = (['Cu', 'high cloud'], ['clear sky', 'cloud'], ['clear sky', 'low cloud', 'Ci', 'sun'], None)
SHAPES = ((100, 130), (120, 160), (200, 150), (192, 192))
EQUAL = 0.999
"""Share of the pixels that must have the same label: rounding decides between equally probable ones."""


class Eager:
    """Runs the module that is exported, in place of ONNX Runtime: a trace of it takes a minute."""

    def __init__(self, inferencer):
        known, table = words_of(inferencer)
        self.module = PromptableSegmentor(inferencer.model, table)
        self.about = metadata_of(inferencer, known, self.module)

    def get_modelmeta(self):
        return SimpleNamespace(custom_metadata_map=self.about)

    @torch.no_grad()
    def run(self, names, inputs):
        assert names is None
        expected = onnx_inferencer.INPUTS if self.module.varied else onnx_inferencer.INPUTS[:-1]
        assert set(inputs) == set(expected)
        return [self.module(*(torch.from_numpy(inputs[name]) for name in expected)).numpy()]


@pytest.fixture(scope='module')
def pairs(tmp_path_factory):
    """Each model without and with PyTorch, loaded once."""
    file = tmp_path_factory.mktemp('exported') / 'model.onnx'
    file.write_bytes(b'content')
    found = {}

    def pair(name):
        if name not in found:
            whole = HyperSegInferencer(name, device='cpu')
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(onnx_inferencer, '_session', lambda *_: Eager(whole))
                found[name] = OnnxInferencer(file), whole
        return found[name]

    return pair


@pytest.fixture
def models(pairs):
    return pairs(MODELS[0])


def sky(number, shape):
    return render_sky(20 + number, max(shape)).image[: shape[0], : shape[1], ::-1].copy()


def compare(light, whole, image, **options):
    found, expected = light.predict_one(image, **options), whole.predict_one(image, **options)
    assert set(found) == set(expected)
    assert (found['classes'], found['palette']) == (expected['classes'], expected['palette'])
    for name in {'labels', 'nodes'} & set(found):
        assert found[name].dtype == expected[name].dtype
        assert found[name].shape == expected[name].shape
        assert (found[name] == expected[name]).mean() >= EQUAL
    for name in {'confidence', 'probabilities', 'radius'} & set(found):
        assert found[name].shape == expected[name].shape
        # Where red and blue tie, to_daylight has a step; elsewhere rounding alone differs.
        assert np.quantile(np.abs(found[name] - expected[name]), EQUAL) < 1e-3


def compare_all(light, whole):
    for number, (prompts, shape) in enumerate(zip(PROMPTS, SHAPES, strict=True)):
        light.set_prompts(prompts)
        whole.set_prompts(prompts)
        assert light.vocabulary == whole.vocabulary
        compare(light, whole, sky(number, shape))


@pytest.mark.parametrize('name', MODELS)
def test_predictions_are_those_of_pytorch(name, pairs):
    compare_all(*pairs(name))


def test_so_are_those_of_a_model_that_tells_kinds_of_many_colors(tmp_path, monkeypatch):
    (file := tmp_path / 'model.onnx').write_bytes(b'content')
    whole = HyperSegInferencer(MODELS[0], device='cpu')
    whole.model.test_cfg['color_likelihood']['varied'] = ['not sky']
    monkeypatch.setattr(onnx_inferencer, '_session', lambda *_: Eager(whole))
    light = OnnxInferencer(file)
    scene = sample_scene(7, camera='fisheye', skyline='street')
    image = render_sky(7, 200, scene=scene).image[..., ::-1].copy()
    for prompts in (['clear sky', 'cloud', 'obstruction'], ['Not sky', 'tree', 'cumulus'], ['clear sky', 'cloud']):
        for model in (light, whole):
            model.set_prompts(prompts)
        compare(light, whole, image)


def test_a_file_of_the_format_before_is_read(pairs, monkeypatch, tmp_path):
    (file := tmp_path / 'model.onnx').write_bytes(b'content')
    _, whole = pairs(MODELS[1])
    earlier = Eager(whole)
    earlier.about = {**earlier.about, 'promptable': '1'}
    del earlier.about['varied']
    monkeypatch.setattr(onnx_inferencer, '_session', lambda *_: earlier)
    light = OnnxInferencer(file)
    for model in (light, whole):
        model.set_prompts(PROMPTS[2])
    compare(light, whole, sky(3, (96, 128)))


def test_so_are_nodes_and_probabilities(models):
    for model in models:
        model.set_prompts(PROMPTS[2])
    compare(*models, sky(5, (96, 128)), threshold=0.6, with_probabilities=True)


@pytest.mark.parametrize('reduced_labels', [False, True])
def test_so_are_those_of_large_images(reduced_labels, models):
    for model in models:
        model.set_prompts(PROMPTS[1])
    image = cv2.resize(sky(6, (96, 128)), (1700, 1250), interpolation=cv2.INTER_CUBIC)
    assert image.shape[0] * image.shape[1] > REDUCED_PIXELS
    compare(*models, image, reduced=True, reduced_labels=reduced_labels)


def test_another_way_of_resizing_is_refused(models):
    _, whole = models
    table = words_of(whole)
    (resize,) = (step for step in whole.pipeline.transforms if type(step).__name__ == 'Resize')
    with pytest.MonkeyPatch.context() as patch:
        for option, value in (('interpolation', 'area'), ('backend', None), ('keep_ratio', False)):
            patch.setattr(resize, option, value)
            with pytest.raises(ValueError, match='expected a scale, keep_ratio=True, bilinear .* backends cv2, pillow'):
                metadata_of(whole, table[0], PromptableSegmentor(whole.model, table[1]))
            patch.undo()


def test_the_model_is_named_by_its_weights(models):
    light, whole = models
    assert {name: light.identity[name] for name in whole.identity} == whole.identity
    assert light.identity['runtime'] == 'onnx'


def test_what_a_file_cannot_be_asked_is_refused(models):
    light, _ = models
    light.set_prompts(PROMPTS[1])
    with pytest.raises(ValueError, match='no text encoder'):
        light.set_prompts(['clear sky', 'a flock of birds'])
    assert light.classes == PROMPTS[1]
    for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), 3):
        with pytest.raises((ValueError, TypeError), match='an image is a file name or'):
            light.predict_one(image)


@pytest.mark.parametrize(
    ('about', 'said'),
    [
        ({}, 'is no promptable file'),
        (dict(promptable='3'), "of version '3': expected one that .* version 1 or 2"),
        (dict(promptable='1'), 'is damaged'),
        (dict(promptable='1', vocabulary='{}', size='[1, 2]', divisor='32', identity='{}'), 'is damaged: its words'),
        (dict(promptable='1', vocabulary='{}', size='[1, 2]', divisor='32', resizing='pil'), "is damaged: 'pil'"),
    ],
)
def test_other_files_are_refused(about, said, monkeypatch, tmp_path):
    session = SimpleNamespace(get_modelmeta=lambda: SimpleNamespace(custom_metadata_map=about))
    monkeypatch.setattr(onnx_inferencer, '_session', lambda *_: session)
    with pytest.raises(ValueError, match=said):
        OnnxInferencer(tmp_path / 'other.onnx')


def test_a_file_that_is_no_onnx_file_is_refused(tmp_path):
    pytest.importorskip('onnxruntime')
    with pytest.raises(FileNotFoundError, match='hyperbolic-seg export MODEL --out'):
        OnnxInferencer(tmp_path / 'none.onnx')
    file = tmp_path / 'text.onnx'
    file.write_text('no model')
    with pytest.raises(ValueError, match='cannot be read by ONNX Runtime'):
        OnnxInferencer(file)


@needs_export
@pytest.mark.parametrize('name', MODELS)
def test_an_exported_file_predicts_what_pytorch_does(name, pairs, tmp_path):
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    _, whole = pairs(name)
    file = tmp_path / 'model.onnx'
    export_promptable(whole, file, license='CC0-1.0')
    light = OnnxInferencer(file, threads=1)
    assert light.license == 'CC0-1.0'
    compare_all(light, whole)
