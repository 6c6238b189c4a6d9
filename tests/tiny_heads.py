"""One small model for each kind of head, as configs."""

import copy

import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from tests.tiny_clip import CONVNEXT, save_model

WORDS = ['a red barn', 'wet grass', 'two dogs', 'a white fence']
NORM = dict(type='GN', num_groups=2)  # statistics of one image, so that the rest of its batch does not matter
COST = dict(vocabulary=WORDS, text_dims=32, loss_decode=dict(type='MultilabelCrossEntropyLoss', ignored='negative'))
WORDS_ON_MAPS = dict(
    type='HyperCLIPHead', vocabulary=WORDS, text_dims=32, num_convs=0, concat_input=False, dropout_ratio=0
)
STAGES = dict(num_stages=2, strides=(1, 1), enc_num_convs=(1, 1), dec_num_convs=(1,), downsamples=(True,))
UNET = dict(type='UNet', base_channels=4, norm_cfg=NORM, enc_dilations=(1, 1), dec_dilations=(1,), **STAGES)
FCN = dict(
    type='FCNHead', in_channels=4, channels=4, num_classes=4, out_channels=4, num_convs=1, concat_input=False,
    dropout_ratio=0, norm_cfg=NORM,
)  # fmt: skip


def _on_unet(**head):
    return dict(backbone=UNET, decode_head=dict(WORDS_ON_MAPS, in_channels=4, channels=4, **head))


def _on_vit(head, **backbone):
    return dict(backbone=dict(type='OpenCLIPVisionBackbone', **backbone), decode_head=head)


def _hyperbolic(**classifier):
    return dict(backbone=UNET, decode_head=dict(type='HyperbolicHead', head=FCN, classifier=classifier))


ADAPTER = dict(type='RadiusScaling', block_size=16)
CATSEG = dict(
    COST,
    type='CostAggregationHead',
    in_channels=(64, 64, 32),
    aggregation=dict(layers=1, dims=16, guidance_dims=8, fine_guidance_dims=(4, 2), decoder_dims=(16, 8), window=2),
)
SED = dict(
    COST,
    type='SEDHead',
    in_channels=(160, 80, 40, 32),
    in_index=(2, 1, 0, 3),
    aggregation=dict(dims=16, decoder_dims=(16, 8, 8), fine_guidance_dims=(4, 2, 2), kernel=5),
)
HEADS = {
    'distance': _on_unet(logits='distance', tuner=dict(block_size=16), curvature=dict(learned=True)),
    'mlr': _on_unet(logits='mlr', embed_dims=16),
    'cosine': _on_unet(logits='cosine'),
    'multilabel': _on_unet(loss_decode=dict(type='MultilabelCrossEntropyLoss')),
    'on ViT': _on_vit(dict(WORDS_ON_MAPS, in_channels=32, channels=32), trainable=('v_proj',)),
    'zero-shot': _on_vit(
        dict(WORDS_ON_MAPS, in_channels=32, channels=32, projection=False, logits='cosine', queries='phrase')
    ),
    'CAT-Seg': _on_vit(CATSEG, out_indices=(0, 1), trainable=('v_proj',)),
    'HyperCLIP': _on_vit(dict(CATSEG, text_encoder=dict(adapter=ADAPTER)), out_indices=(0, 1), adapter=ADAPTER),
    'SED': _on_vit(SED, out_indices=(0, 1, 2), trainable=('',)),
    'hyperbolic MLR': _hyperbolic(type='HyperbolicMLR', learned=True),
    'hyperbolic prototypes': _hyperbolic(type='HyperbolicPrototypes', c=0.1, on_ball=True),
    'entailment cones': _hyperbolic(type='EntailmentCones', c=0.1),
}
"""Models without data preprocessor and CLIP; all name the same four classes."""
BY_WORDS = [name for name, model in HEADS.items() if model['decode_head']['type'] != 'HyperbolicHead']
TRAINED = [name for name in HEADS if name != 'zero-shot']


def clip_folders(root):
    """Save the small CLIPs below a folder; return those of the vision transformer and of the ConvNeXt."""
    return save_model(root / 'vit'), save_model(root / 'convnext', CONVNEXT)


def config(name, folders, test_cfg=None, **head):
    """Return the config of a model with the CLIP that it needs."""
    model = copy.deepcopy(HEADS[name])
    clip = dict(model=f'local-dir:{folders[name == "SED"]}', pretrained=None)
    if name in BY_WORDS:
        encoder = dict(type='OpenCLIPTextEncoder', templates=('{}',), **clip)
        model['decode_head']['text_encoder'] = encoder | model['decode_head'].get('text_encoder', {})
    if model['backbone']['type'] == 'OpenCLIPVisionBackbone':
        model['backbone'].update(clip)
    model['decode_head'].update(head)
    preprocessor = dict(
        type='SegDataPreProcessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True, size_divisor=16,
        test_cfg=dict(size_divisor=16),
    )  # fmt: skip
    segmentor = 'HyperCLIPSegmentor' if name in BY_WORDS else 'EncoderDecoder'
    return ConfigDict(
        type=segmentor, data_preprocessor=preprocessor, test_cfg=test_cfg or dict(mode='whole'), train_cfg={}, **model
    )


def build(name, folders, test_cfg=None, **head):
    """Build and initialize a model."""
    torch.manual_seed(0)
    model = MODELS.build(config(name, folders, test_cfg, **head))
    model.init_weights()
    return model


def batch(*sizes):
    """Return a batch as of a data loader: images of these sizes with labels."""
    generator = torch.Generator().manual_seed(1)
    images, samples = [], []
    for size in sizes:
        images.append(torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8))
        labels = torch.randint(0, 4, (1, *size), generator=generator)
        meta = dict(img_shape=size, ori_shape=size, img_path='')
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=meta))
    return dict(inputs=images, data_samples=samples)
