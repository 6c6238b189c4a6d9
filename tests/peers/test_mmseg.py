"""Every base model of MMSegmentation with hyperbolic classifiers in all its heads, built by its builder."""

import runpy
from importlib.util import find_spec

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from hyperbolic_seg.layers import HyperbolicMLR
from tests.conftest import REPOSITORY

TOOL = runpy.run_path(str(REPOSITORY / 'tools' / 'benchmarks' / 'heads.py'))
POOLED = 'lraspp_m-v3-d8'  # averages windows of 49 x 49 features, each of 8 x 8 pixels
OPS = {
    'ccnet_r50-d8': 'CrissCrossAttention',
    'pointrend_r50': 'point_sample',
    'psanet_r50-d8': 'PSAMask',
    'san_vit-b16': 'point_sample',
}


def config(name):
    """A base config with narrow layers, and with HyperbolicHead around each of its heads."""
    if name in TOOL['MMPRETRAIN']:
        pytest.importorskip('mmpretrain', reason="mmpretrain is not installed: pip install 'hyperbolic-seg[peers]'")
    cfg = TOOL['narrow'](name, 16)
    cfg.test_cfg = dict(mode='whole')  # the windows of some are larger than these images
    for key in ('decode_head', 'auxiliary_head'):
        if cfg.get(key):
            cfg[key] = TOOL['wrap'](cfg[key], 'HyperbolicMLR')
    return cfg


@pytest.mark.parametrize('name', [*TOOL['TRAINABLE'], pytest.param(POOLED, marks=pytest.mark.nightly)])
def test_it_trains_and_predicts(name):
    torch.manual_seed(0)
    model = MODELS.build(config(name)).train()
    size = 392 if name == POOLED else 48
    meta = dict(img_shape=(size, size), ori_shape=(size, size), pad_shape=(size, size))
    images = torch.randn(2, 3, size, size)
    samples = [
        SegDataSample(metainfo=meta, gt_sem_seg=PixelData(data=torch.randint(0, TOOL['NUM_CLASSES'], (1, size, size))))
        for _ in images
    ]
    loss = model.parse_losses(model.loss(images, samples))[0]
    loss.backward()
    assert loss.isfinite()
    learned = {key: x for key, x in model.named_parameters() if x.requires_grad}
    missing = [key for key, x in learned.items() if x.grad is None or not x.grad.isfinite().all()]
    assert not missing
    classifiers = [module for module in model.modules() if isinstance(module, HyperbolicMLR)]
    assert len(classifiers) == len(TOOL['heads'](TOOL['narrow'](name)))
    assert all(classifier.weight.grad.any() for classifier in classifiers)
    model.eval()
    with torch.no_grad():
        predicted = model.predict(images, samples)
    assert all(sample.seg_logits.data.isfinite().all() for sample in predicted)
    assert [sample.pred_sem_seg.data.shape for sample in predicted] == [(1, size, size)] * 2


def test_every_base_config_is_accounted_for():
    accounted = {*TOOL['TRAINABLE'], *TOOL['EXCLUDED']}
    assert accounted == {file.stem for file in TOOL['BASES'].glob('*.py')}
    assert {*OPS} == {name for name, reason in TOOL['EXCLUDED'].items() if TOOL['COMPILED'] in reason}


@pytest.mark.skipif(find_spec('mmcv._ext') is not None, reason='this mmcv has its compiled ops')
@pytest.mark.parametrize('name', OPS)
def test_without_compiled_ops_it_names_the_missing_one(name):
    with pytest.raises(RuntimeError, match=f'for {OPS[name]} ops'):
        for head in TOOL['heads'](config(name)):
            MODELS.build(head)


def test_heads_without_a_convolution_are_refused():
    refused = [name for name, reason in TOOL['EXCLUDED'].items() if reason == TOOL['NO_CONVOLUTION']]
    assert refused == ['segmenter_vit-b16_mask']
    with pytest.raises(TypeError, match='SegmenterMaskTransformerHead classifies by NoneType, expected a decode head'):
        MODELS.build(config(refused[0]))


def test_a_model_of_depth_has_no_decode_head():
    assert not TOOL['heads'](TOOL['narrow']('vpd_sd'))
    assert TOOL['narrow']('vpd_sd').type == 'DepthEstimator'
