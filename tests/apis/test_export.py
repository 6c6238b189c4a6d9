"""Exported files, read by a user without this library, against what the segmentor predicts."""

import itertools
import json

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModule
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.models.decode_heads import FCNHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.apis.export import (
    ExportableSegmentor,
    export_model,
    largest_difference,
    save_program,
    trace,
)
from hyperbolic_seg.models import HyperCLIPSegmentor
from hyperbolic_seg.text import Taxonomy
from tests.shrink import shrink
from tests.stack import needs_export
from tests.tiny_clip import save_model

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
pytestmark = needs_export

WORDS = ['a red barn', 'wet grass', 'two dogs', 'a white fence']
STEP = 8  # of the backbone
NORMALIZED = dict(
    type='SegDataPreProcessor',
    mean=[120.0, 115.0, 100.0],
    std=[58.0, 57.0, 60.0],
    bgr_to_rgb=True,
    size_divisor=STEP,
    test_cfg=dict(size_divisor=STEP),
)
SOFTMAX = dict(type='CrossEntropyLoss')
SIGMOID = dict(type='CrossEntropyLoss', use_sigmoid=True)
GUIDED = dict(guided=dict(radius=2, eps=1e-2))
COLORS = dict(color_likelihood=dict(weight=1.0, rounds=1, temperature=2.0))


class SmallBackbone(BaseModule):
    """Maps of half, a quarter and an eighth of the size."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        widths = (3, 6, 10, 12)
        self.stages = nn.ModuleList(nn.Conv2d(*pair, 3, stride=2, padding=1) for pair in itertools.pairwise(widths))

    def forward(self, images):
        maps = [images]
        for stage in self.stages:
            maps.append(stage(maps[-1]).tanh())
        return maps[1:]


class Dimming(SegDataPreProcessor):
    """A data preprocessor that changes colors before it normalizes, and says so."""

    def forward(self, data, training=False):
        data = self.cast_data(data)
        changed = [self.adjust_colors(image.float().flip(0)).flip(0) for image in data['inputs']]
        return super().forward(dict(data, inputs=changed), training)

    def adjust_colors(self, images):
        return images * images.new_tensor([0.9, 0.7, 0.5]).view(3, 1, 1)


class SecretlyDimming(SegDataPreProcessor):
    """One that does not say so."""

    def forward(self, data, training=False):
        data = self.cast_data(data)
        return super().forward(dict(data, inputs=[image.float() / 2 for image in data['inputs']]), training)


@pytest.fixture(scope='module', autouse=True)
def parts():
    for part in (SmallBackbone, Dimming, SecretlyDimming):
        MODELS.register_module(module=part, force=True)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp('clip'))


@pytest.fixture
def build(folder):
    def builder(head, *, segmentor='HyperCLIPSegmentor', preprocessor=NORMALIZED, classes=None, **test_cfg):
        torch.manual_seed(0)
        text = dict(vocabulary=WORDS, text_dims=32)
        text['text_encoder'] = dict(type='OpenCLIPTextEncoder', model=f'local-dir:{folder}', templates=('{}', 'my {}'))
        text['text_encoder']['pretrained'] = None
        common = {
            'HyperCLIPHead': dict(in_channels=10, in_index=1, channels=10, num_convs=0, temperature=0.02, **text),
            'CostAggregationHead': dict(
                in_channels=(10, 6, 12),
                in_index=(1, 0, 2),
                aggregation=dict(
                    dims=16, guidance_dims=8, fine_guidance_dims=(4, 2), decoder_dims=(16, 8), window=2,
                    fine_scales=(1, 1), layers=1,
                ),
                **text,
            ),
            'FCNHead': dict(in_channels=10, in_index=1, channels=8, num_convs=1, concat_input=False, num_classes=4),
        }  # fmt: skip
        inner = head.get('head')
        head = dict(common.get(head['type'], {}), **head)
        if inner is not None:
            head['head'] = dict(common[inner['type']], **inner)
        model = MODELS.build(
            dict(
                type=segmentor,
                backbone=dict(type='SmallBackbone'),
                decode_head=head,
                data_preprocessor=preprocessor,
                test_cfg=ConfigDict(dict(mode='whole') | test_cfg),
            )
        )
        model.init_weights()
        generator = torch.Generator().manual_seed(1)
        for name, parameter in model.named_parameters():  # nothing stays at 0 or 1
            if 'curvature' not in name and 'log_scale' not in name:
                spread = parameter.data.std() if parameter.numel() > 1 else 1.0
                parameter.data += 0.2 * spread * torch.randn(parameter.shape, generator=generator)
        if segmentor == 'EncoderDecoder':
            count = max(model.out_channels, 2)
            model.dataset_meta = dict(classes=classes or [f'class {i}' for i in range(count)])
        return model.eval()

    return builder


CASES = {
    'distance': dict(head=dict(type='HyperCLIPHead', logits='distance', tuner=dict(block_size=16))),
    'mlr': dict(head=dict(type='HyperCLIPHead', logits='mlr')),
    'cosine': dict(head=dict(type='HyperCLIPHead', logits='cosine')),
    'fewer dimensions': dict(head=dict(type='HyperCLIPHead', embed_dims=8)),
    'multilabel': dict(head=dict(type='HyperCLIPHead', logits='mlr', loss_decode=SIGMOID)),
    'two losses': dict(
        head=dict(
            type='HyperCLIPHead', temperature=0.5, loss_decode=[SIGMOID, dict(type='DiceLoss', loss_name='loss_d')]
        )
    ),
    'taxonomy': dict(
        head=dict(
            type='HyperCLIPHead',
            taxonomy='voc20b_tree',
            vocabulary=Taxonomy.load('voc20b_tree').leaves.names,
            loss_decode=dict(type='HierarchicalCrossEntropyLoss', taxonomy='voc20b_tree'),
            temperature=0.01,
        ),
        prompts=['background', 'cat', 'dog'],  # the first one is an inner node, as probable as its leaves together
        background=dict(name='cat', below=0.99),
    ),
    'plain segmentor': dict(head=dict(type='HyperCLIPHead'), segmentor='EncoderDecoder'),
    'costs': dict(head=dict(type='CostAggregationHead', cost='cosine', loss_decode=SOFTMAX)),
    'costs, multilabel': dict(head=dict(type='CostAggregationHead', cost='cosine', loss_decode=SIGMOID)),
    'hyperbolic costs': dict(
        head=dict(type='CostAggregationHead', cost='distance', loss_decode=SOFTMAX, tuner=dict(block_size=16))
    ),
    'hyperbolic costs, multilabel': dict(head=dict(type='CostAggregationHead', cost='distance', loss_decode=SIGMOID)),
    'most likely costs': dict(head=dict(type='CostAggregationHead', top_k=2, loss_decode=SIGMOID)),
    'FCN': dict(head=dict(type='FCNHead', loss_decode=SOFTMAX), segmentor='EncoderDecoder'),
    'FCN, multilabel': dict(head=dict(type='FCNHead', loss_decode=SIGMOID), segmentor='EncoderDecoder'),
    'one output': dict(
        head=dict(type='FCNHead', num_classes=2, out_channels=1, threshold=0.48, loss_decode=SIGMOID),
        segmentor='EncoderDecoder',
    ),
    'hyperbolic': dict(
        head=dict(type='HyperbolicHead', head=dict(type='FCNHead'), classifier=dict(type='HyperbolicMLR', c=0.5)),
        segmentor='EncoderDecoder',
    ),
    'hyperbolic, one output': dict(
        head=dict(
            type='HyperbolicHead',
            head=dict(type='FCNHead', num_classes=2, out_channels=1, threshold=0.6, loss_decode=SIGMOID),
        ),
        segmentor='EncoderDecoder',
    ),
    'guided': dict(head=dict(type='HyperCLIPHead'), **GUIDED),
    'colors': dict(head=dict(type='HyperCLIPHead'), **COLORS),
    'guided and colors': dict(head=dict(type='HyperCLIPHead'), **GUIDED, **COLORS),
    'guided costs': dict(head=dict(type='CostAggregationHead', loss_decode=SOFTMAX), **GUIDED, **COLORS),
    'background': dict(head=dict(type='HyperCLIPHead'), background=dict(name='two dogs', below=0.6)),
    'background, multilabel': dict(
        head=dict(type='HyperCLIPHead', logits='cosine', temperature=0.2, loss_decode=SIGMOID),
        background=dict(name='two dogs', below=0.28),
    ),
    'aligned corners': dict(head=dict(type='HyperCLIPHead', align_corners=True)),
    'BGR': dict(head=dict(type='HyperCLIPHead'), preprocessor=dict(NORMALIZED, bgr_to_rgb=False), **COLORS),
    'no normalization': dict(
        head=dict(type='HyperCLIPHead'), preprocessor=dict(type='SegDataPreProcessor', size_divisor=STEP), **COLORS
    ),
    'other colors': dict(head=dict(type='HyperCLIPHead'), preprocessor=dict(NORMALIZED, type='Dimming'), **COLORS),
}


# What is traced differs between these; the others differ from one of them in a step that eager PyTorch shows as well.
FILES = (
    'distance', 'mlr', 'cosine', 'multilabel', 'taxonomy', 'costs, multilabel', 'hyperbolic costs', 'FCN', 'one output',
    'hyperbolic', 'guided and colors', 'background', 'other colors',
)  # fmt: skip


def built_case(build, case):
    options = dict(CASES[case])
    prompts = options.pop('prompts', None)
    segmentor = build(**options)
    if prompts is not None:
        segmentor.set_vocabulary(prompts)
    return segmentor


@pytest.mark.parametrize('case', CASES)
def test_what_is_exported_predicts_what_the_segmentor_predicts(build, case):
    segmentor = built_case(build, case)
    model, images = ExportableSegmentor(segmentor), _images(2, 40, 64)
    assert ('radius' in model.output_names) == isinstance(segmentor, HyperCLIPSegmentor)
    shape = images.shape[2:]
    metas = dict(img_shape=shape, ori_shape=shape, pad_shape=shape)
    bgr = [torch.from_numpy(image[::-1].astype(np.uint8)) for image in images]
    with torch.no_grad():
        probabilities, labels, *radius = model(torch.from_numpy(images))
        samples = segmentor.test_step(dict(inputs=bgr, data_samples=[SegDataSample(metainfo=metas) for _ in bgr]))
    for i, sample in enumerate(samples):
        logits = sample.seg_logits.data  # of one output, MMSegmentation keeps the probability of the second class
        expected = torch.cat([1 - logits, logits]) if len(logits) == 1 else logits.softmax(0)
        torch.testing.assert_close(probabilities[i], expected, rtol=1e-4, atol=1e-5)
        assert (labels[i] == sample.pred_sem_seg.data[0]).float().mean() > 0.999
        if radius:
            torch.testing.assert_close(radius[0][i], sample.pred_radius.data, rtol=1e-4, atol=1e-5)
    assert len(labels.unique()) > 1, 'a prediction of one class compares nothing'


@pytest.mark.parametrize('case', FILES)
def test_an_exported_file_predicts_what_the_segmentor_predicts(build, tmp_path, case):
    segmentor = built_case(build, case)
    model = ExportableSegmentor(segmentor)
    program = trace(model, (32, 48))  # once for both formats: it takes longest
    for file_format in ('onnx', 'pt2'):
        path = tmp_path / file_format
        save_program(program, model, path, file_format=file_format)
        difference = largest_difference(segmentor, path, file_format=file_format, size=(32, 48))
        assert difference.probability < 1e-4 and difference.labels < 0.01 and difference.radius < 1e-4, file_format
    initializers = {tensor.name: tensor.dims for tensor in onnx.load(tmp_path / 'onnx').graph.initializer}
    for tensors in (initializers, {name: value.shape for name, value in program.state_dict.items()}):
        own = [name for name in tensors if not name.startswith('head.aggregation.')]
        assert not any(part in name for name in own for part in ('text', 'tuner', 'bank', 'token', 'loss'))
        # The tokens of CLIP (49408) or all nodes of the taxonomy (61) would show as a longer table of embeddings.
        tables = {name: tensors[name] for name in own if len(tensors[name]) == 2 and tensors[name][1] == 32}
        assert all(dims[0] < 61 for dims in tables.values()), tables


def _images(count, height, width):
    return np.random.default_rng(1).integers(0, 256, (count, 3, height, width)).astype(np.float32)


def test_a_user_reads_names_and_free_sizes(build, tmp_path):
    segmentor = build(dict(type='HyperCLIPHead'))
    path = tmp_path / 'model.onnx'
    export_model(ExportableSegmentor(segmentor), path, file_format='onnx', size=(32, 48))
    session = onnxruntime.InferenceSession(str(path))
    assert json.loads(session.get_modelmeta().custom_metadata_map['classes']) == WORDS
    assert [output.name for output in session.get_outputs()] == ['probabilities', 'labels', 'radius']
    probabilities, labels, radius = session.run(None, {'images': _images(4, 64, 128)})
    assert probabilities.shape == (4, 4, 64, 128) and radius.shape == (4, 1, 64, 128)
    assert labels.shape == (4, 64, 128) and labels.dtype == np.int64
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert list(tmp_path.glob('*.partial')) == []
    export_model(ExportableSegmentor(segmentor), tmp_path / 'model.pt2', file_format='pt2', size=(32, 48))
    extra = {'classes.json': ''}
    torch.export.load((tmp_path / 'model.pt2').open('rb'), extra_files=extra)
    assert json.loads(extra['classes.json']) == WORDS


def test_the_comparison_detects_a_different_model(build, tmp_path):
    """What a file does differently shows in each figure."""
    segmentor = build(dict(type='HyperCLIPHead'))
    path = tmp_path / 'model.pt2'
    export_model(ExportableSegmentor(segmentor), path, file_format='pt2', size=(32, 48))
    segmentor.decode_head.projection.bias.data += 0.5
    difference = largest_difference(segmentor, path, file_format='pt2', size=(32, 48))
    assert difference.probability > 0.01 and difference.labels > 0.01 and difference.radius > 0.01


@pytest.mark.parametrize('config', ['hyperclip_unet_cloud', 'released/hyperclip_unet_sky'])
def test_the_exportable_model_predicts_as_the_inferencer(repository, tiny_sky, tmp_path, config):
    """Preprocessing, channel order and vocabulary are those of the inferencer."""
    cfg = shrink(Config.fromfile(repository / 'configs' / f'{config}.py'), tiny_sky, tmp_path)
    torch.manual_seed(0)
    inferencer = HyperSegInferencer(cfg, None, device='cpu')
    inferencer.set_prompts(['clear sky', 'cumulus'])
    model = ExportableSegmentor(inferencer.model)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)  # BGR, as images are read
    image[..., 0] //= 2  # warm, as under lamps
    prediction = inferencer.predict_one(image)
    with torch.no_grad():
        rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float()
        probabilities, labels, radius = model(rgb)
    np.testing.assert_allclose(probabilities[0].amax(0).numpy(), prediction['confidence'], atol=1e-4)
    assert (labels[0].numpy() == prediction['labels']).mean() > 0.99
    np.testing.assert_allclose(radius[0, 0].numpy(), prediction['radius'], rtol=1e-3, atol=1e-4)


def test_the_model_is_not_changed(build):
    segmentor = build(dict(type='HyperCLIPHead', tuner=dict(block_size=16)))
    before = segmentor.decode_head.text_embeddings().clone()
    model = ExportableSegmentor(segmentor)
    assert segmentor.decode_head.text.encoded and segmentor.decode_head.tuner is not None
    segmentor.set_vocabulary(['fog', 'rain'])
    assert torch.equal(model.words, before) and model.classes == tuple(WORDS)  # the file keeps its own words


class OwnSegmentor(EncoderDecoder):
    def encode_decode(self, inputs, batch_img_metas):
        return super().encode_decode(inputs, batch_img_metas) + 1


class OwnHead(FCNHead):
    def predict_by_feat(self, seg_logits, batch_img_metas):
        return super().predict_by_feat(seg_logits, batch_img_metas) + 1


REFUSED = {
    'slide': (dict(mode='slide', crop_size=(32, 32), stride=(16, 16)), "test_cfg.mode='slide': an exported file"),
    'whole view': (dict(whole_view=(16, 16)), r'test_cfg.whole_view=\(16, 16\)'),
    'chunks': (dict(class_chunk=3), 'test_cfg.class_chunk=3 is smaller than the vocabulary of 4 concepts'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_test_cfg_that_cannot_be_exported_is_refused_by_name(build, case):
    options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        ExportableSegmentor(build(dict(type='HyperCLIPHead'), **options))


def test_options_set_after_the_model_was_built_are_checked_too(build):
    model = build(dict(type='HyperCLIPHead'))
    model.test_cfg = ConfigDict(mode='whole', colors=dict(rounds=1))
    with pytest.raises(TypeError, match='test_cfg has colors: expected some of'):
        ExportableSegmentor(model)
    plain = build(dict(type='FCNHead'), segmentor='EncoderDecoder', guided=dict(radius=2))
    with pytest.raises(TypeError, match='test_cfg has guided: the options of an EncoderDecoder are mode, crop_size'):
        ExportableSegmentor(plain)


def test_parts_that_cannot_be_exported_are_refused_by_name(build):
    for part in (OwnSegmentor, OwnHead):
        MODELS.register_module(module=part, force=True)
    with pytest.raises(TypeError, match='expected an EncoderDecoder of MMSegmentation to export, got Linear'):
        ExportableSegmentor(torch.nn.Linear(1, 1))
    plain = build(dict(type='FCNHead'), segmentor='EncoderDecoder')
    plain.__class__ = OwnSegmentor
    with pytest.raises(TypeError, match='cannot export a OwnSegmentor: its encode_decode is not that of'):
        ExportableSegmentor(plain)
    plain = build(dict(type='FCNHead'), segmentor='EncoderDecoder')
    plain.decode_head.__class__ = OwnHead
    with pytest.raises(TypeError, match='cannot export a OwnHead: its predict_by_feat is not that of'):
        ExportableSegmentor(plain)
    for preprocessor, message in (
        (dict(NORMALIZED, type='SecretlyDimming'), 'cannot export a SecretlyDimming: its forward is not that of'),
        (None, 'cannot export a BaseDataPreprocessor: expected a SegDataPreProcessor'),
    ):
        with pytest.raises(TypeError, match=message):
            ExportableSegmentor(build(dict(type='HyperCLIPHead'), preprocessor=preprocessor))
    fixed = dict(NORMALIZED, test_cfg=dict(size=(64, 64)))
    with pytest.raises(ValueError, match=r'data_preprocessor.test_cfg.size=\(64, 64\)'):
        ExportableSegmentor(build(dict(type='HyperCLIPHead'), preprocessor=fixed))
    plain = build(dict(type='FCNHead'), segmentor='EncoderDecoder', classes=['a', 'b'])
    with pytest.raises(ValueError, match='the model tells 4 classes apart, dataset_meta names 2'):
        ExportableSegmentor(plain)


def test_formats_and_sizes_that_cannot_be_written_are_refused(build, tmp_path):
    model = ExportableSegmentor(build(dict(type='HyperCLIPHead')))
    with pytest.raises(ValueError, match=r'size \(50, 64\): expected multiples of 8'):
        export_model(model, tmp_path / 'a.onnx', file_format='onnx', size=(50, 64))
    with pytest.raises(ValueError, match="format 'tflite': expected one of"):
        export_model(model, tmp_path / 'a.onnx', file_format='tflite', size=(64, 64))
    assert list(tmp_path.glob('a.onnx*')) == []
