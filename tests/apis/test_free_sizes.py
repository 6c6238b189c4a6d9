"""What keeps height and width of an exported file free, and stock models of MMSegmentation that need it."""

import functools
import json
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from hyperbolic_seg.apis.export import ExportableSegmentor, export_model, trace
from hyperbolic_seg.apis.exported_files import largest_difference, run_exported
from hyperbolic_seg.apis.free_sizes import step_of_maps, with_symbolic_sizes
from tests.stack import needs_export

BASES = Path(mmseg.__file__).parent / '.mim' / 'configs' / '_base_' / 'models'
NORM = dict(type='BN')
RESNET = dict(
    depth=18,
    num_stages=2,
    strides=(1, 2),
    dilations=(1, 1),
    out_indices=(0, 1),
    base_channels=8,
    stem_channels=8,
    norm_cfg=NORM,
)
SEGFORMER = dict(
    embed_dims=8,
    num_stages=2,
    num_layers=[1, 1],
    num_heads=[1, 2],
    patch_sizes=[7, 3],
    strides=[4, 2],
    sr_ratios=[8, 4],
    out_indices=(0, 1),
)
UNET = dict(
    base_channels=4,
    num_stages=3,
    strides=(1, 1, 1),
    enc_num_convs=(1, 1, 1),
    dec_num_convs=(1, 1),
    downsamples=(True, True),
    enc_dilations=(1, 1, 1),
    dec_dilations=(1, 1),
    norm_cfg=NORM,
)
TWO = dict(in_channels=[8, 16], in_index=[0, 1])
STOCK = {
    'SegFormer': ('segformer_mit-b0', 32, SEGFORMER, TWO, 32),
    'UPerNet': ('upernet_r50', 32, RESNET, TWO, 8),
    'DeepLabV3+': ('deeplabv3plus_r50-d8', 8, RESNET, dict(in_channels=16, in_index=1, c1_in_channels=8), 8),
    'U-Net': ('fcn_unet_s5-d16', 16, UNET, dict(in_channels=4, in_index=2), 4),
}
"""Base config and the largest stride of its maps; what makes it small, and the largest stride then.

The keys of SegFormer's attention have a stride of 8 on maps of stride 4, and of 4 on maps of stride 8.
"""


def stock(name, classifier=None):
    """Build a shrunken stock model, without a size_divisor, as its base config is."""
    base, _, backbone, head, _ = STOCK[name]
    cfg = Config.fromfile(BASES / f'{base}.py').model
    cfg.pop('auxiliary_head', None)
    cfg.pretrained, cfg.test_cfg = None, ConfigDict(mode='whole')
    cfg.backbone.update(backbone)
    cfg.decode_head.update(head, channels=8, num_classes=4, norm_cfg=NORM)
    if classifier is not None:
        cfg.decode_head = dict(type='HyperbolicHead', head=cfg.decode_head, classifier=dict(type=classifier))
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    generator = torch.Generator().manual_seed(1)
    for parameter in model.decode_head.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)  # classes differ by pixel
    model.dataset_meta = dict(classes=['a', 'b', 'c', 'd'])
    return model.eval()


@pytest.mark.parametrize('name', STOCK)
def test_the_step_of_a_stock_backbone_is_the_largest_stride_of_its_maps(name):
    base, stride, *_ = STOCK[name]
    backbone = MODELS.build(Config.fromfile(BASES / f'{base}.py').model.backbone)
    assert step_of_maps(backbone) == stride


OTHER_SIZES = ((2, 1.75), (2.5, 2), (1.25, 2.25))  # in steps


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """Exports a stock model with a hyperbolic classifier, once in the module."""
    pytest.importorskip('onnx')
    init_default_scope('mmseg')

    @functools.cache
    def write(name):
        segmentor, path = stock(name, 'HyperbolicMLR'), tmp_path_factory.mktemp('exported') / 'model.onnx'
        model = ExportableSegmentor(segmentor)
        assert model.divisor == STOCK[name][-1]
        export_model(model, path, file_format='onnx', size=(2 * model.divisor, 3 * model.divisor), opset=20)
        return segmentor, path, model.divisor

    return write


@needs_export
@pytest.mark.parametrize('name', ['SegFormer', 'UPerNet'])  # whose attention and pooling are replaced
def test_an_onnx_file_of_a_stock_model_equals_it_and_refuses_other_sizes(written, name):
    onnxruntime = pytest.importorskip('onnxruntime')
    segmentor, path, step = written(name)
    difference = largest_difference(segmentor, path, file_format='onnx', size=(2 * step, 2 * step), divisor=step)
    assert difference.probability < 1e-4 and difference.labels < 0.01
    session = onnxruntime.InferenceSession(str(path))
    assert json.loads(session.get_modelmeta().custom_metadata_map['divisor']) == step
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 2 * step, 4 * step)).astype(np.float32)
    probabilities, labels = session.run(None, {'images': images})
    assert len(np.unique(labels)) > 1 and probabilities.std(axis=(2, 3)).max() > 1e-3, 'else nothing is compared'
    for height, width in OTHER_SIZES:
        other = np.zeros((1, 3, int(height * step), int(width * step)), np.float32)
        with pytest.raises(Exception, match='cannot be reshaped to the requested shape'):  # of a class of its own
            session.run(None, {'images': other})


@needs_export
def test_a_file_has_the_operator_set_that_is_asked_for(written):
    import onnx

    _, path, _ = written('UPerNet')
    assert onnx.load(path).opset_import[0].version == 20


@needs_export
def test_an_operator_set_that_cannot_be_written_is_refused(tmp_path):
    pytest.importorskip('onnx')
    model = ExportableSegmentor(stock('U-Net'))
    with pytest.raises(ValueError, match="opset 99: torch's exporter to ONNX cannot convert this model to it from"):
        export_model(model, tmp_path / 'model.onnx', file_format='onnx', size=(8, 8), opset=99)
    assert not list(tmp_path.iterdir())


@needs_export
@pytest.mark.parametrize('name', ['SegFormer', 'UPerNet'])
def test_openvino_runs_the_file_and_refuses_other_sizes(written, name):
    openvino = pytest.importorskip('openvino')
    _, path, step = written(name)
    model = openvino.Core().compile_model(str(path), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    for shape in ((1, 2, 2), (3, 3, 5), (2, 5, 2)):
        images = np.random.default_rng(0).uniform(0, 255, (shape[0], 3, shape[1] * step, shape[2] * step))
        images = images.astype(np.float32)
        found = model({'images': images})[model.outputs[0]]
        np.testing.assert_allclose(found, run_exported(path, images, file_format='onnx')[0], atol=1e-4)
    for height, width in OTHER_SIZES:
        with pytest.raises(RuntimeError):
            model({'images': np.zeros((1, 3, int(height * step), int(width * step)), np.float32)})


@needs_export
@pytest.mark.parametrize('name', ['DeepLabV3+', 'U-Net'])
def test_the_program_of_a_stock_model_equals_it_and_refuses_other_sizes(name):
    segmentor = stock(name, 'HyperbolicMLR')
    model = ExportableSegmentor(segmentor)
    step = model.divisor
    assert step == STOCK[name][-1]
    program = trace(model, (2 * step, 3 * step)).module()
    for batch, height, width in ((1, 2, 2), (3, 3, 5), (2, 5, 2)):
        images = torch.rand(batch, 3, height * step, width * step) * 255
        with torch.no_grad():
            inputs = segmentor.data_preprocessor(dict(inputs=list(images.flip(1))))['inputs']
            expected = F.interpolate(
                segmentor.decode_head(segmentor.extract_feat(inputs)), images.shape[2:], mode='bilinear'
            )
            probabilities, labels = program(images)
        torch.testing.assert_close(probabilities, expected.softmax(1), rtol=1e-4, atol=1e-5)
        assert (labels == expected.argmax(1)).float().mean() > 0.99
        assert probabilities.std((2, 3)).max() > 1e-3, 'else nothing is compared'
    for height, width in OTHER_SIZES:
        other = torch.zeros(1, 3, int(height * step), int(width * step))
        with pytest.raises(ValueError, match=f'expected multiples of {step}'):
            model(other)
        with pytest.raises(AssertionError, match='Guard failed'):
            program(other)


def test_a_divisor_is_a_multiple_of_what_the_data_preprocessor_pads_to():
    segmentor = stock('U-Net')
    assert ExportableSegmentor(segmentor, divisor=8).divisor == 8
    segmentor.data_preprocessor.test_cfg = dict(size_divisor=12)
    assert ExportableSegmentor(segmentor).divisor == 12
    with pytest.raises(ValueError, match='divisor 16: expected a multiple of 12, which the data preprocessor pads to'):
        ExportableSegmentor(segmentor, divisor=16)
    with pytest.raises(ValueError, match='divisor 0: expected a multiple of 12'):
        ExportableSegmentor(segmentor, divisor=0)


class Patches(nn.Module):
    """A map of stride 14, no power of two, and a vector."""

    def __init__(self):
        super().__init__()
        self.patches, self.pool = nn.Conv2d(3, 2, 14, stride=14), nn.AdaptiveAvgPool2d(1)

    def forward(self, images):
        maps = self.patches(images)
        return maps * self.pool(maps)


class Rows(nn.Module):
    """Numbers that depend on the data."""

    def forward(self, images):
        return images[:, :, : int(images.sum())]


def test_the_step_of_other_strides():
    assert step_of_maps(Patches()) == 14
    assert step_of_maps(Patches(), nn.MaxPool2d(4)) == 56
    with pytest.raises(ValueError, match='cannot infer the step of height and width from Rows: give a divisor'):
        step_of_maps(Rows())
    with pytest.raises(ValueError, match='would have to be multiples of 512, for the smallest map: give a divisor'):
        step_of_maps(nn.MaxPool2d(512))
    with pytest.raises(ValueError, match='no map that grows with the image'):
        step_of_maps(nn.AdaptiveAvgPool2d(1))


@pytest.mark.parametrize('count, size', [(2, (5, 8)), (3, (6, 7)), (6, (4, 13))])
def test_adaptive_pooling_is_that_of_torch(count, size):
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    pool = with_symbolic_sizes(nn.Sequential(nn.AdaptiveAvgPool2d(count)))
    torch.testing.assert_close(pool(x), F.adaptive_avg_pool2d(x, count))


@pytest.mark.parametrize('batch_first', [True, False])
@pytest.mark.parametrize('bias', [True, False])
def test_attention_is_that_of_torch(batch_first, bias):
    attention = nn.MultiheadAttention(8, 2, bias=bias, batch_first=batch_first, dtype=torch.float64).eval()
    query, keys = torch.randn(2, 5, 8, dtype=torch.float64), torch.randn(2, 3, 8, dtype=torch.float64)
    if not batch_first:
        query, keys = query.transpose(0, 1), keys.transpose(0, 1)
    changed = with_symbolic_sizes(nn.ModuleList([attention]))[0]
    torch.testing.assert_close(changed(query, keys, keys)[0], attention(query, keys, keys)[0])
    with pytest.raises(ValueError, match='cannot export a MultiheadAttention with attn_mask'):
        changed(query, keys, keys, attn_mask=torch.zeros(5, 3))


def test_attention_with_other_options_is_refused():
    with pytest.raises(ValueError, match='cannot export a MultiheadAttention with kdim'):
        with_symbolic_sizes(nn.Sequential(nn.MultiheadAttention(8, 2, kdim=4)))
