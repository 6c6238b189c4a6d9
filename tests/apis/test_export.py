"""Exported files, read by a user without this library, against what the segmentor predicts."""

import functools
import itertools
import json
from pathlib import Path
from typing import NamedTuple

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
    FORMATS,
    ExportableSegmentor,
    export_model,
    save_program,
    trace,
)
from hyperbolic_seg.apis.exported_files import largest_difference, run_exported
from hyperbolic_seg.models import HyperCLIPSegmentor
from hyperbolic_seg.text import Taxonomy
from tests.shrink import shrink
from tests.stack import needs_export
from tests.tiny_clip import CONVNEXT, VIT, save_model

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
PATCHES = dict(NORMALIZED, size_divisor=16, test_cfg=dict(size_divisor=16))  # of the transformer
SOFTMAX = dict(type='CrossEntropyLoss')
SIGMOID = dict(type='CrossEntropyLoss', use_sigmoid=True)
GUIDED = dict(guided=dict(radius=2, eps=1e-2))
COLORS = dict(color_likelihood=dict(weight=1.0, rounds=1, temperature=2.0))
# Aggregations of costs: without attention, which takes longest to trace, and with it, on patches of a transformer.
FLAT = dict(
    dims=8, guidance_dims=4, fine_guidance_dims=(4, 2), decoder_dims=(8, 4), window=2, fine_scales=(1, 1), layers=0
)
OF_PATCHES = dict(FLAT, layers=1, fine_scales=(2, 4))


class SmallBackbone(BaseModule):
    """Maps of half, a quarter and an eighth of the size; their sizes are simpler to trace without padding."""

    def __init__(self, padding=0, init_cfg=None):
        super().__init__(init_cfg)
        kernel, pairs = 2 + padding, itertools.pairwise((3, 6, 10, 12))
        self.stages = nn.ModuleList(nn.Conv2d(*pair, kernel, stride=2, padding=padding) for pair in pairs)

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
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('clip')
    small = dict(VIT, vision_cfg=dict(VIT['vision_cfg'], layers=2, width=16))
    conv = dict(CONVNEXT, vision_cfg=dict(CONVNEXT['vision_cfg'], timm_model_name='test_convnext2'))
    return {name: save_model(root / name, config) for name, config in (('vit', small), ('convnext', conv))}


@pytest.fixture(scope='module')
def build(folders):
    clip = {name: dict(model=f'local-dir:{folder}', pretrained=None) for name, folder in folders.items()}

    def builder(
        head, *, segmentor='HyperCLIPSegmentor', backbone=None, preprocessor=NORMALIZED, classes=None, **test_cfg
    ):
        torch.manual_seed(0)
        text = dict(vocabulary=WORDS, text_dims=32)
        text['text_encoder'] = dict(type='OpenCLIPTextEncoder', templates=('{}', 'my {}'), **clip['vit'])
        common = {
            'HyperCLIPHead': dict(
                in_channels=10, in_index=1, channels=10, num_convs=0, temperature=0.02, concat_input=False, **text
            ),
            'CostAggregationHead': dict(in_channels=(10, 6, 12), in_index=(1, 0, 2), aggregation=FLAT, **text),
            'FCNHead': dict(in_channels=10, in_index=1, channels=8, num_convs=1, concat_input=False, num_classes=4),
        }
        inner = head.get('head')
        head = dict(common.get(head['type'], {}), **head)
        if inner is not None:
            head['head'] = dict(common[inner['type']], **inner)
        backbone = dict(type='SmallBackbone') if backbone is None else dict(backbone)
        if (tower := backbone.pop('tower', None)) is not None:
            kind = 'ProxyCLIPBackbone' if 'proxy' in backbone else 'OpenCLIPVisionBackbone'
            backbone.update(type=kind, **clip[tower])
        model = MODELS.build(
            dict(
                type=segmentor,
                backbone=backbone,
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
            if hasattr(model.decode_head, 'vocabulary'):
                classes = model.decode_head.vocabulary.names
            model.dataset_meta = dict(classes=classes or [f'class {i}' for i in range(max(model.out_channels, 2))])
        return model.eval()

    return builder


def hyperclip(**options):
    return dict(type='HyperCLIPHead', **options)


def costs(**options):
    return dict(type='CostAggregationHead', **options)


def fcn(**options):
    return dict(type='FCNHead', **options)


def hyperbolic(**options):
    return dict(type='HyperbolicHead', **options)


TREE = dict(taxonomy='voc20b_tree', vocabulary=Taxonomy.load('voc20b_tree').leaves.names)
NODES = ['background', 'cat', 'dog']  # the first one is an inner node, whose leaves are words of their own
CLOUDS = ['clear sky', 'cirrus', 'cumulus']  # each known by several phrases
HIERARCHICAL = dict(type='HierarchicalCrossEntropyLoss', taxonomy='voc20b_tree')
TWO_LOSSES = [SIGMOID, dict(type='DiceLoss', loss_name='loss_d')]
ONE_OUTPUT = dict(num_classes=2, out_channels=1, loss_decode=SIGMOID)
PADDED = dict(type='SmallBackbone', padding=1)
PLAIN = dict(segmentor='EncoderDecoder')
OF_CLIP = dict(in_channels=32, in_index=-1, channels=32, projection=False)

# Files take seconds each. Every kind of head and backbone is in a pt2 file too, from the same traced program.
ONNX_ALONE = (
    'mlr, fewer dimensions, phrases, colors, no normalization',
    'distance, taxonomy, multilabel',
    'cosine, multilabel, ViT',
    'cosine, aligned corners, ViT',
    'cosine costs, multilabel, background',
    'distance costs',
    'MLR',
)
# Others that take no new operator, for the nightly workflow; their parts are in other cases too.
NIGHTLY = ('distance, taxonomy, multilabel', 'cosine, aligned corners, ViT', 'distance costs')
# Every head, form of its logits, loss, option of test_cfg, data preprocessor and backbone is
# in one of them; the next test crosses heads, losses and options without files.
CASES = {
    'distance': dict(head=hyperclip(tuner=dict(block_size=16)), backbone=PADDED),
    'distance, guided and colors, other colors, BGR': dict(
        head=hyperclip(temperature=0.2),  # rounding grows with the logits
        preprocessor=dict(NORMALIZED, type='Dimming', bgr_to_rgb=False),
        **GUIDED,
        **COLORS,
    ),
    'distance, taxonomy, multilabel': dict(
        head=hyperclip(**TREE, temperature=0.5, loss_decode=TWO_LOSSES),
        prompts=NODES,
        background=dict(name='cat', below=0.3345),
    ),
    'mlr, taxonomy': dict(
        head=hyperclip(**TREE, logits='mlr', temperature=0.2, loss_decode=HIERARCHICAL),
        prompts=NODES,
        background=dict(name='cat', below=0.97),
    ),
    'mlr, fewer dimensions, phrases, colors, no normalization': dict(
        head=hyperclip(
            logits='mlr', embed_dims=8, temperature=0.1, queries='phrase', known_words='sky', vocabulary=CLOUDS
        ),
        preprocessor=dict(type='SegDataPreProcessor', size_divisor=STEP),
        **COLORS,
    ),
    'cosine, taxonomy, plain segmentor, ConvNeXt': dict(
        head=hyperclip(**OF_CLIP, taxonomy='sky', vocabulary=['cumulus', 'cirrus'], logits='cosine', temperature=0.02),
        prompts=['high cloud', 'cumulus', 'clear sky'],
        backbone=dict(tower='convnext'),
        preprocessor=dict(NORMALIZED, size_divisor=32),
        **PLAIN,
    ),
    'cosine, multilabel, ViT': dict(
        head=hyperclip(**OF_CLIP, logits='cosine', loss_decode=SIGMOID, temperature=0.2),
        backbone=dict(tower='vit', dense='tokens', adapter=dict(type='RadiusScaling', block_size=16)),
        preprocessor=PATCHES,
    ),
    'cosine, aligned corners, ViT': dict(
        head=hyperclip(**OF_CLIP, logits='cosine', align_corners=True),
        backbone=dict(tower='vit', dense='sclip'),
        preprocessor=PATCHES,
    ),
    'cosine costs, ViT': dict(
        head=costs(
            cost='cosine', loss_decode=SOFTMAX, in_channels=(16, 16, 32), in_index=(0, 0, 1), aggregation=OF_PATCHES
        ),
        backbone=dict(tower='vit', out_indices=(0,)),
        preprocessor=PATCHES,
    ),
    'cosine costs, multilabel, background': dict(
        head=costs(cost='cosine', loss_decode=SIGMOID),
        backbone=PADDED,
        background=dict(name='two dogs', below=0.2505),
    ),
    'distance costs, multilabel, most likely': dict(head=costs(cost='distance', loss_decode=SIGMOID, top_k=2)),
    'distance costs': dict(head=costs(cost='distance', loss_decode=SOFTMAX, tuner=dict(block_size=16))),
    'FCN, ViT': dict(
        head=fcn(in_channels=32, in_index=-1, loss_decode=SOFTMAX),
        backbone=dict(tower='vit', dense='clearclip'),
        preprocessor=PATCHES,
        **PLAIN,
    ),
    'cosine, proxy': dict(
        head=hyperclip(**OF_CLIP, logits='cosine', temperature=0.2),
        backbone=dict(proxy=dict(encoder='test_vit', positions='size'), positions='size', tower='vit'),
        preprocessor=PATCHES,
    ),
    'MLR': dict(head=hyperbolic(head=fcn(loss_decode=SIGMOID), classifier=dict(type='HyperbolicMLR', c=0.5)), **PLAIN),
    'MLR, one output': dict(head=hyperbolic(head=fcn(**ONE_OUTPUT, threshold=0.5)), **PLAIN),
}


def built_case(build, case):
    options = dict(CASES[case])
    prompts = options.pop('prompts', None)
    segmentor = build(**options)
    if prompts is not None:
        segmentor.decode_head.set_vocabulary(prompts)
        segmentor.dataset_meta = dict(classes=prompts)  # which an open-vocabulary segmentor knows by itself
    return segmentor


class Written(NamedTuple):
    segmentor: EncoderDecoder
    model: ExportableSegmentor
    program: torch.export.ExportedProgram
    paths: dict[str, Path]


@pytest.fixture(scope='module')
def write(build, tmp_path_factory):
    """Exports a case, once in the module; traced once for both formats, as that takes longest."""

    @functools.cache
    def writer(case):
        segmentor = built_case(build, case)
        model, folder = ExportableSegmentor(segmentor), tmp_path_factory.mktemp('exported')
        program = trace(model, (2 * model.divisor, 3 * model.divisor))
        formats = ['onnx'] if case in ONNX_ALONE else FORMATS
        paths = {file_format: folder / f'model.{file_format}' for file_format in formats}
        for file_format, path in paths.items():
            save_program(program, model, path, file_format=file_format)
        return Written(segmentor, model, program, paths)

    return writer


@pytest.mark.parametrize(
    'case', [pytest.param(case, marks=pytest.mark.nightly) if case in NIGHTLY else case for case in CASES]
)
def test_an_exported_file_predicts_what_the_segmentor_predicts(write, case):
    segmentor, model, program, paths = write(case)
    assert ('radius' in model.output_names) == isinstance(segmentor, HyperCLIPSegmentor)
    least = (2 * model.divisor, 2 * model.divisor)  # of a transformer, one window of the aggregation
    for file_format, path in paths.items():
        difference = largest_difference(segmentor, path, file_format=file_format, size=least, divisor=model.divisor)
        assert difference.probability < 1e-4 and difference.labels < 0.01 and difference.radius < 1e-4, file_format
    labels = run_exported(paths['onnx'], _images(3, *least), file_format='onnx')[1]
    assert len(np.unique(labels)) > 1, 'a prediction of one class compares nothing'
    initializers = {tensor.name: tensor.dims for tensor in onnx.load(paths['onnx']).graph.initializer}
    for tensors in (initializers, {name: value.shape for name, value in program.state_dict.items()}):
        own = [name for name in tensors if not name.startswith(('head.aggregation.', 'backbone.'))]
        assert not any(part in name for name in own for part in ('text', 'tuner', 'bank', 'token', 'loss'))
        if not isinstance(segmentor.backbone, SmallBackbone):
            continue  # A tower has long tables of its own, which ONNX does not name after it.
        # The tokens of CLIP (49408) or all nodes of the taxonomy (61) would show as a longer table of embeddings.
        tables = {name: tensors[name] for name in own if len(tensors[name]) == 2 and tensors[name][1] == 32}
        assert all(dims[0] < 61 for dims in tables.values()), tables


def _images(count, height, width):
    return np.random.default_rng(1).integers(0, 256, (count, 3, height, width)).astype(np.float32)


CROSSED = {
    'distance': hyperclip(temperature=0.2),
    'mlr': hyperclip(temperature=0.2, logits='mlr'),
    'cosine': hyperclip(temperature=0.2, logits='cosine'),
    'cosine costs': costs(cost='cosine'),
    'distance costs': costs(cost='distance'),
    'most likely costs': costs(cost='cosine', top_k=2),
}
UNSURE = dict(background=dict(name='two dogs', below=0.3))


@pytest.mark.parametrize('loss', [SOFTMAX, SIGMOID], ids=['softmax', 'sigmoid'])
@pytest.mark.parametrize('head', CROSSED)
def test_what_is_exported_predicts_what_the_segmentor_predicts_under_every_option(build, head, loss):
    segmentor, images = build(dict(CROSSED[head], loss_decode=loss)), _images(2, 40, 64)
    bgr = [torch.from_numpy(image[::-1].astype(np.uint8)) for image in images]
    metas = dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape'), images.shape[2:])
    refinements = ({}, GUIDED, COLORS, GUIDED | COLORS) if loss is SOFTMAX else ({},)  # others are refused beside it
    for options in (a | b for a in refinements for b in ({}, UNSURE)):
        segmentor.test_cfg = ConfigDict(mode='whole', **options)
        with torch.no_grad():
            probabilities, labels, radius = ExportableSegmentor(segmentor)(torch.from_numpy(images))
            samples = segmentor.test_step(dict(inputs=bgr, data_samples=[SegDataSample(metainfo=metas) for _ in bgr]))
        for i, sample in enumerate(samples):
            expected = sample.seg_logits.data.softmax(0)
            torch.testing.assert_close(probabilities[i], expected, rtol=1e-4, atol=1e-5)
            assert (labels[i] == sample.pred_sem_seg.data[0]).float().mean() > 0.999
            torch.testing.assert_close(radius[i], sample.pred_radius.data, rtol=1e-4, atol=1e-5)


def test_a_user_reads_names_and_free_sizes(write):
    paths = write('distance').paths
    session = onnxruntime.InferenceSession(str(paths['onnx']))
    assert json.loads(session.get_modelmeta().custom_metadata_map['classes']) == WORDS
    assert [output.name for output in session.get_outputs()] == ['probabilities', 'labels', 'radius']
    probabilities, labels, radius = session.run(None, {'images': _images(4, 64, 128)})
    assert probabilities.shape == (4, 4, 64, 128) and radius.shape == (4, 1, 64, 128)
    assert labels.shape == (4, 64, 128) and labels.dtype == np.int64
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert sorted(paths['onnx'].parent.iterdir()) == sorted(paths.values()), 'nothing is left beside the files'
    extra = {'classes.json': ''}
    torch.export.load(paths['pt2'].open('rb'), extra_files=extra)
    assert json.loads(extra['classes.json']) == WORDS


def test_the_comparison_detects_a_different_model(build, write):
    """What a file does differently shows in each figure."""
    segmentor = built_case(build, 'distance')
    segmentor.decode_head.projection.bias.data += 0.5
    for file_format, path in write('distance').paths.items():
        difference = largest_difference(segmentor, path, file_format=file_format, size=(32, 48), divisor=STEP)
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
    'refinement by pixels': (dict(pamr=dict()), 'test_cfg.pamr={}: an exported file labels images'),
    'small areas': (dict(min_area=0.1), 'test_cfg.min_area=0.1: an exported file labels images'),
    'chunks': (dict(class_chunk=3), 'test_cfg.class_chunk=3 is smaller than the vocabulary of 4 concepts'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_test_cfg_that_cannot_be_exported_is_refused_by_name(build, case):
    options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        ExportableSegmentor(build(dict(type='HyperCLIPHead'), **options))


def test_positions_by_a_scale_are_refused_by_name(build):
    head = hyperclip(**OF_CLIP, logits='cosine')
    with pytest.raises(ValueError, match=r"backbone\.positions='scale': .* backbone\.positions='size' can be exported"):
        ExportableSegmentor(build(head, backbone=dict(tower='vit', positions='scale'), preprocessor=PATCHES))
    proxy = dict(encoder='test_vit', positions='scale')
    model = build(head, backbone=dict(tower='vit', proxy=proxy, positions='size'), preprocessor=PATCHES)
    with pytest.raises(ValueError, match=r"backbone\.proxy\.positions='scale'"):
        ExportableSegmentor(model)


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
