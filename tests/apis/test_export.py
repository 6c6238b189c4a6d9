"""Exported files, read by what a user without this library has."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.apis.export import ExportableSegmentor, export_model, largest_difference
from tests.shrink import shrink
from tests.stack import needs_export

onnxruntime = pytest.importorskip('onnxruntime')
pytestmark = needs_export


def exportable(repository, tiny_sky, tmp_path, config='hyperclip_unet_cloud', prompts=None, whole=True, **head):
    cfg = shrink(Config.fromfile(repository / 'configs' / f'{config}.py'), tiny_sky, tmp_path)
    if whole:
        cfg.model.test_cfg.color_likelihood.rounds = 1
    else:
        cfg.model.test_cfg = dict(mode='whole')
    cfg.model.decode_head.update(head)
    torch.manual_seed(0)
    inferencer = HyperSegInferencer(cfg, None, device='cpu')
    inferencer.set_prompts(prompts)
    return inferencer, ExportableSegmentor(inferencer.model, inferencer.classes)


@pytest.mark.parametrize('logits', ['distance', 'mlr', 'cosine'])
def test_onnx_equals_pytorch_on_any_size(repository, tiny_sky, tmp_path, logits):
    prompts = ['clear sky', 'cumulus', 'cirrus']
    # What follows the head is the same for all, and is exported once.
    whole = logits == 'distance'
    _, model = exportable(repository, tiny_sky, tmp_path, prompts=prompts, logits=logits, whole=whole)
    path = tmp_path / 'model.onnx'
    export_model(model, path, file_format='onnx', size=(64, 96))
    difference, other = largest_difference(model, path, file_format='onnx', size=(64, 96))
    assert difference < 1e-4 and other < 0.01
    session = onnxruntime.InferenceSession(str(path))
    assert json.loads(session.get_modelmeta().custom_metadata_map['classes']) == prompts
    images = np.random.default_rng(1).uniform(0, 255, (4, 3, 64, 128)).astype(np.float32)
    probabilities, radius = session.run(None, {'images': images})
    assert probabilities.shape == (4, 3, 64, 128) and radius.shape == (4, 1, 64, 128)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    with torch.no_grad():
        expected = model(torch.from_numpy(images))
    np.testing.assert_allclose(radius, expected[1].numpy(), rtol=1e-3, atol=1e-4)
    assert list(tmp_path.glob('*.partial')) == []


@pytest.mark.parametrize('options', [{}, {'config': 'hyperclip_unet_sky'}], ids=['main', 'with daylight'])
def test_it_is_the_model_that_predicts(repository, tiny_sky, tmp_path, options):
    """Preprocessing, channel order and vocabulary are those of the inferencer."""
    inferencer, model = exportable(repository, tiny_sky, tmp_path, prompts=['clear sky', 'cumulus'], **options)
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)  # BGR, as images are read
    picture[..., 0] //= 2  # warm, as under lamps
    prediction = inferencer.predict_one(picture)
    with torch.no_grad():
        rgb = torch.from_numpy(picture[..., ::-1].copy()).permute(2, 0, 1)[None].float()
        probabilities, radius = model(rgb)
    confidence, labels = probabilities[0].max(0)
    np.testing.assert_allclose(confidence.numpy(), prediction['confidence'], atol=1e-4)
    assert (labels.numpy() == prediction['labels']).mean() > 0.99
    np.testing.assert_allclose(radius[0, 0].numpy(), prediction['radius'], rtol=1e-3, atol=1e-4)


def test_no_text_encoder_is_left_and_the_model_is_not_changed(repository, tiny_sky, tmp_path):
    inferencer, model = exportable(repository, tiny_sky, tmp_path)
    names = set(model.state_dict())
    assert 'words' in names and not any('head.text' in name or 'tuner' in name for name in names)
    assert inferencer.model.decode_head.text.encoded and inferencer.model.decode_head.tuner is not None
    before = inferencer.model.decode_head.text_embeddings().clone()
    inferencer.set_prompts(['fog', 'rain'])
    assert not torch.equal(model.words, before) or len(before) != 2  # the file keeps its own words
    assert len(model.words) == len(before)


@pytest.mark.parametrize('config', ['unet_cloud', 'hyperbolic_unet_cloud'])
def test_ordinary_models_in_the_format_of_torch(repository, tiny_sky, tmp_path, config):
    cfg = shrink(Config.fromfile(repository / 'configs' / f'{config}.py'), tiny_sky, tmp_path)
    # Each hyperbolic layer takes the exporter half a minute; tests/layers has them one by one.
    one_stage = dict(
        num_stages=1,
        strides=(1,),
        enc_num_convs=(1,),
        dec_num_convs=(),
        downsamples=(),
        enc_dilations=(1,),
        dec_dilations=(),
        base_channels=4,
    )
    cfg.model.backbone.update(one_stage)
    cfg.model.backbone.conv_cfg, cfg.model.backbone.norm_cfg = None, dict(type='BN')
    cfg.model.decode_head.get('head', cfg.model.decode_head).num_convs = 0
    torch.manual_seed(0)
    inferencer = HyperSegInferencer(cfg, None, device='cpu')
    model = ExportableSegmentor(inferencer.model, inferencer.classes)
    path = tmp_path / 'model.pt2'
    export_model(model, path, file_format='pt2', size=(32, 32))
    difference, _ = largest_difference(model, path, file_format='pt2', size=(32, 32))
    assert difference < 1e-4
    extra = {'classes.json': ''}
    torch.export.load(path.open('rb'), extra_files=extra)
    assert json.loads(extra['classes.json']) == inferencer.classes


def test_what_cannot_be_exported_is_said(repository, tiny_sky, tmp_path):
    _, model = exportable(repository, tiny_sky, tmp_path)
    with pytest.raises(ValueError, match=r'size \(50, 64\): expected multiples of 32'):
        export_model(model, tmp_path / 'a.onnx', file_format='onnx', size=(50, 64))
    with pytest.raises(ValueError, match="format 'tflite': expected one of"):
        export_model(model, tmp_path / 'a.onnx', file_format='tflite', size=(64, 64))
    with pytest.raises(TypeError, match='expected an EncoderDecoder'):
        ExportableSegmentor(torch.nn.Linear(1, 1), ['a', 'b'])
    assert list(tmp_path.glob('a.onnx*')) == []
