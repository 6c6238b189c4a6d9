"""Families of mmpretrain: backbones of segmentors with hyperbolic heads, and classifiers made of hyperbolic layers."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from hyperbolic_seg import layers

pytest.importorskip('mmpretrain', reason="mmpretrain is not installed: pip install 'hyperbolic-seg[peers]'")

from mmpretrain.models import backbones
from mmpretrain.registry import MODELS as CLASSIFIERS
from mmpretrain.structures import DataSample

SIZE, CHANNELS, HEADS = 64, [8, 16, 32, 64], [1, 2, 4, 8]
RESNET = dict(stem_channels=8, base_channels=8)
VIT = dict(
    arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64),
    img_size=SIZE,
    patch_size=16,
    out_type='featmap',
)
POOLS = dict(layers=[1] * 4, embed_dims=CHANNELS, mlp_ratios=[2] * 4, layer_scale_init_value=1e-5)
SWIN = dict(embed_dims=8, depths=[2] * 4, num_heads=HEADS)
TWINS = dict(
    embed_dims=CHANNELS,
    depths=[2] * 4,
    num_heads=HEADS,
    patch_sizes=[4, 2, 2, 2],
    strides=[4, 2, 2, 2],
    mlp_ratios=[2] * 4,
    sr_ratios=[8, 4, 2, 1],
)
SMALL = {
    'BEiTViT': VIT,
    'ConvMixer': dict(arch=dict(embed_dims=16, depth=2, patch_size=7, kernel_size=5)),
    'ConvNeXt': dict(arch=dict(depths=[1] * 4, channels=CHANNELS), gap_before_final_norm=False),
    'DeiT3': VIT,
    'DenseNet': dict(arch=dict(growth_rate=8, depths=[1] * 4, init_channels=16)),
    'DistilledVisionTransformer': VIT,
    'EdgeNeXt': dict(arch=dict(channels=CHANNELS, depths=[1] * 4, num_heads=[2] * 4), gap_before_final_norm=False),
    'EfficientNet': dict(arch='b0'),
    'MobileNetV2': dict(widen_factor=0.25),
    'MobileNetV3': dict(arch='small', out_indices=(12,)),
    'MobileViT': dict(arch='xx_small'),
    'PCPVT': dict(arch=TWINS),
    'PoolFormer': dict(arch=POOLS),
    'RIFormer': dict(arch=POOLS),
    'ResNeSt': dict(depth=50, **RESNET),
    'ResNeXt': dict(depth=50, groups=4, width_per_group=4, **RESNET),
    'ResNet': dict(depth=18, **RESNET),
    'ResNetV1c': dict(depth=18, **RESNET),
    'ResNetV1d': dict(depth=18, **RESNET),
    'ResNet_CIFAR': dict(depth=18, **RESNET),
    'RevVisionTransformer': VIT,
    'SEResNet': dict(depth=50, stem_channels=16, base_channels=16),
    'SVT': dict(arch=TWINS | dict(window_sizes=[2] * 4)),
    'ShuffleNetV1': dict(groups=1),
    'ShuffleNetV2': dict(widen_factor=0.5),
    'SwinTransformer': dict(arch=SWIN, img_size=SIZE, window_size=2),
    'SwinTransformerV2': dict(
        arch=SWIN | dict(extra_norm_every_n_blocks=0), img_size=SIZE, window_size=2, pretrained_window_sizes=[0] * 4
    ),
    'T2T_ViT': dict(
        img_size=SIZE,
        embed_dims=32,
        num_layers=2,
        layer_cfgs=dict(num_heads=2, feedforward_channels=64),
        out_type='featmap',
    ),
    'TIMMBackbone': dict(model_name='test_resnet', features_only=True),
    'ViTEVA02': VIT,
    'ViTSAM': VIT | dict(arch=VIT['arch'] | dict(global_attn_indexes=[1]), out_channels=32, window_size=2),
    'VisionTransformer': VIT,
    'XCiT': dict(img_size=SIZE, patch_size=16, embed_dims=32, depth=2, num_heads=2, out_type='featmap'),
}
LARGE = {
    'AlexNet': {},
    'CSPDarkNet': dict(depth=53),
    'CSPResNeXt': dict(depth=50),
    'CSPResNet': dict(depth=50),
    'DaViT': dict(arch='t', pad_small_map=True),
    'EfficientFormer': dict(arch='l1', reshape_last_feat=True),
    'EfficientNetV2': dict(arch='s'),
    'HRNet': dict(arch='w18'),
    'HiViT': dict(arch='tiny', img_size=SIZE, patch_size=16),
    'HorNet': dict(arch='tiny', gap_before_final_norm=False),
    'LeViT': dict(arch='128s', img_size=SIZE),
    'MViT': dict(arch='tiny', img_size=SIZE),
    'MobileOne': dict(arch='s0'),
    'PyramidVig': dict(arch='tiny'),
    'RegNet': dict(arch='regnetx_400mf'),
    'RepLKNet': dict(arch='31B'),
    'RepMLPNet': dict(arch='B', img_size=SIZE),
    'RepVGG': dict(arch='A0'),
    'Res2Net': dict(depth=50, scales=4, base_width=4),
    'SEResNeXt': dict(depth=50, groups=4, width_per_group=4),
    'TinyViT': dict(arch='5m', img_size=(SIZE, SIZE), window_size=[2, 2, 4, 2], gap_before_final_norm=False),
    'VAN': dict(arch='tiny'),
    'VGG': dict(depth=11, norm_cfg=dict(type='BN')),
    'Vig': dict(arch='tiny'),
}
WITHOUT_MAPS = {
    'CSPNet': 'the base class of three others',
    'Conformer': 'returns pairs',
    'InceptionV3': 'returns logits',
    'LeNet5': 'reads digits of one channel',
    'MixMIMTransformer': 'returns a vector',
    'MlpMixer': 'returns tokens',
    'SparseConvNeXt': 'is for pretraining by masks',
    'SparseResNet': 'is for pretraining by masks',
    'TNT': 'returns a vector',
}
"""Families that have no feature maps for a segmentor."""
FAMILIES = [*SMALL, *(pytest.param(name, marks=pytest.mark.nightly) for name in LARGE)]
FIXED = {'AlexNet', 'EfficientFormer', 'PyramidVig', 'Vig'}  # to images of 224 x 224
UNUSED = {'DeiT3': '.ln2.', 'HRNet': '.stage4.2.fuse_layers.'}
"""Parameters of a family that its last feature map does not depend on."""
HYPERBOLIC = dict(conv_cfg=dict(type='HyperbolicConv2d', c=0.01), norm_cfg=dict(type='HyperbolicBN', c=0.01))
CONVOLUTIONAL = {
    'MobileNetV2': dict(act_cfg=dict(type='HyperbolicReLU', c=0.01)),
    'ResNeXt': {},
    'ResNet': dict(zero_init_residual=False),
    'SEResNet': {},
    'ShuffleNetV2': {},
}
SLOW = {'ResNeXt', 'SEResNet', 'ShuffleNetV2'}


def check_gradients(model, unused=None):
    learned = {key: x.grad for key, x in model.named_parameters() if x.requires_grad}
    missing = [key for key, gradient in learned.items() if gradient is None]
    assert not [key for key in missing if unused is None or unused not in key]
    assert bool(missing) == bool(unused)
    assert all(gradient.isfinite().all() for gradient in learned.values() if gradient is not None)


@pytest.mark.parametrize('name', FAMILIES)
def test_a_segmentor_trains_on_its_features(name):
    torch.manual_seed(0)
    backbone = dict(type=f'mmpretrain.{name}', **(SMALL | LARGE)[name])
    size = 224 if name in FIXED else SIZE
    images = torch.randn(2, 3, size, size)
    probe = MODELS.build(backbone)
    channels = probe(images)[-1].shape[1]
    head = dict(type='FCNHead', in_channels=channels, in_index=-1, channels=8, num_convs=1, num_classes=3)
    model = MODELS.build(
        dict(
            type='EncoderDecoder',
            backbone=backbone,
            decode_head=dict(type='HyperbolicHead', head=dict(head, norm_cfg=dict(type='BN'), dropout_ratio=0)),
            test_cfg=ConfigDict(mode='whole'),
        )
    )
    model.train()
    meta = dict(img_shape=(size, size), ori_shape=(size, size), pad_shape=(size, size))
    samples = [
        SegDataSample(metainfo=meta, gt_sem_seg=PixelData(data=torch.randint(0, 3, (1, size, size)))) for _ in images
    ]
    loss = model.loss(images, samples)['decode.loss_ce']
    loss.backward()
    assert loss.isfinite()
    check_gradients(model, UNUSED.get(name))
    assert model.decode_head.conv_seg.weight.grad.any()
    model.eval()
    with torch.no_grad():
        assert model.predict(images, samples)[0].seg_logits.data.shape == (3, size, size)


def test_every_family_is_accounted_for():
    accounted = [*SMALL, *LARGE, *WITHOUT_MAPS]
    assert sorted(accounted) == sorted(backbones.__all__)


@pytest.mark.parametrize(
    'name', [pytest.param(x, marks=pytest.mark.nightly) if x in SLOW else x for x in CONVOLUTIONAL]
)
def test_a_classifier_of_hyperbolic_layers_trains(name):
    torch.manual_seed(0)
    backbone = dict(type=name, **SMALL[name], **HYPERBOLIC, **CONVOLUTIONAL[name])
    images = torch.randn(4, 3, 32, 32)
    channels = CLASSIFIERS.build(dict(backbone, _scope_='mmpretrain'))(images)[-1].shape[1]
    model = CLASSIFIERS.build(
        dict(
            type='ImageClassifier',
            _scope_='mmpretrain',
            backbone=backbone,
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=channels, loss=dict(type='CrossEntropyLoss')),
        )
    )
    model.head.fc = layers.HyperbolicMLR(channels, 5, calibrate=True)
    model.train()
    samples = [DataSample().set_gt_label(label) for label in range(4)]
    loss = model.loss(images, samples)['loss']
    loss.backward()
    assert loss.isfinite()
    check_gradients(model)
    kinds = [type(module) for module in model.modules()]
    assert layers.HyperbolicConv2d in kinds and layers.HyperbolicBatchNorm2d in kinds
    assert torch.nn.BatchNorm2d not in kinds
    model.eval()
    with torch.no_grad():
        assert model.predict(images, samples)[0].pred_score.shape == (5,)
