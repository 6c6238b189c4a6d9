"""Any decode head of MMSegmentation with a hyperbolic classifier, by config."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from hyperbolic_seg import layers

NORM = dict(type='BN')
COMMON = dict(channels=8, num_classes=3, norm_cfg=NORM, align_corners=False)
ONE, FOUR = dict(in_channels=16, in_index=3), dict(in_channels=[4, 8, 12, 16], in_index=[0, 1, 2, 3])
HEADS = {
    'FCN': dict(type='FCNHead', num_convs=1, **ONE, **COMMON),
    'PSP': dict(type='PSPHead', pool_scales=(1, 2), **ONE, **COMMON),
    'DeepLabV3': dict(type='ASPPHead', dilations=(1, 2), **ONE, **COMMON),
    'DeepLabV3+': dict(
        type='DepthwiseSeparableASPPHead', dilations=(1, 2), c1_in_channels=4, c1_channels=4, **ONE, **COMMON
    ),
    'SegFormer': dict(type='SegformerHead', **FOUR, **COMMON),
    'UPer': dict(type='UPerHead', pool_scales=(1, 2), **FOUR, **COMMON),
}
CLASSIFIERS = {
    'HyperbolicMLR': dict(c=0.1, learned=True),
    'HyperbolicPrototypes': dict(c=0.5),
    'EntailmentCones': dict(c=0.3, k=0.2),
}


def features():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 4 * (i + 1), 16 >> i, 16 >> i, generator=generator) for i in range(4)]


def samples():
    generator = torch.Generator().manual_seed(1)
    return [
        SegDataSample(
            metainfo=dict(img_shape=(32, 32)),
            gt_sem_seg=PixelData(data=torch.randint(0, 3, (1, 32, 32), generator=generator)),
        )
        for _ in range(2)
    ]


@pytest.mark.parametrize('classifier', CLASSIFIERS)
@pytest.mark.parametrize('head', HEADS)
def test_every_head_trains_with_every_classifier(head, classifier):
    torch.manual_seed(0)
    config = dict(type='HyperbolicHead', classifier=dict(type=classifier, **CLASSIFIERS[classifier]), head=HEADS[head])
    kept = copy.deepcopy(config)
    built = MODELS.build(config)
    assert config == kept
    assert type(built) is MODELS.get(HEADS[head]['type'])
    assert type(built.conv_seg) is getattr(layers, classifier)
    built.init_weights()
    built.train()
    optimizer = torch.optim.Adam(built.parameters(), lr=5e-3)
    torch.manual_seed(1)
    losses = []
    for _ in range(12):
        loss = built.loss(features(), samples(), dict())['loss_ce']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(parameter.grad is not None for parameter in built.conv_seg.parameters())
    built.eval()
    assert built(features()).shape[:2] == (2, 3)


def test_the_default_is_regression_and_options_win():
    built = MODELS.build(dict(type='HyperbolicHead', head=HEADS['FCN'], num_classes=5))
    assert isinstance(built, FCNHead) and isinstance(built.conv_seg, layers.HyperbolicMLR)
    assert (built.conv_seg.in_channels, built.conv_seg.num_classes, built.num_classes) == (8, 5, 5)


def test_a_segmentor_with_main_and_auxiliary_head_has_both_losses():
    norm = dict(type='BN')
    head = dict(type='HyperbolicHead', head=dict(HEADS['FCN'], in_channels=4, in_index=4, norm_cfg=norm))
    model = MODELS.build(
        dict(
            type='EncoderDecoder',
            data_preprocessor=dict(type='SegDataPreProcessor'),
            backbone=dict(type='UNet', base_channels=4, norm_cfg=norm),
            decode_head=head,
            auxiliary_head=dict(head, head=dict(head['head'], in_channels=8, in_index=3)),
            test_cfg=ConfigDict(mode='slide', crop_size=(32, 32), stride=(16, 16)),
        )
    )
    assert {'decode_head.conv_seg.offset', 'auxiliary_head.conv_seg.offset'} <= set(model.state_dict())
    images = torch.randn(2, 3, 48, 48)
    data = [
        SegDataSample(
            metainfo=dict(img_shape=(48, 48), ori_shape=(48, 48), pad_shape=(48, 48)),
            gt_sem_seg=PixelData(data=torch.zeros(1, 48, 48, dtype=torch.long)),
        )
        for _ in range(2)
    ]
    losses = model.loss(images, data)
    assert {'decode.loss_ce', 'aux.loss_ce'} <= set(losses)
    model.eval()
    assert model.predict(images, data)[0].seg_logits.data.shape == (3, 48, 48)


def test_what_has_no_convolution_to_replace_is_refused():
    with pytest.raises(TypeError, match='expected a decode head with a 1x1 convolution conv_seg'):
        MODELS.build(dict(type='HyperbolicHead', head=dict(HEADS['FCN'], type='NotClassifying')))


@MODELS.register_module()
class NotClassifying(FCNHead):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv_seg = torch.nn.Identity()
