# HyperCLIP on a U-Net: the ten WMO genera by name, trained on the procedural sky.
_base_ = [
    './_base_/models/hyperclip_unet.py',
    './_base_/datasets/sky.py',
    './_base_/schedules/adamw.py',
    './_base_/default_runtime.py',
]

# ---------------------------------------------------------------- knobs
logits = 'distance'  # 'distance', 'mlr', or 'cosine', the Euclidean control
vocabulary = 'genera'  # a built-in vocabulary, a YAML file or a list of prompts
text_encoder = dict(type='OpenCLIPTextEncoder', model='offline')
text_dims = 384  # size of its embeddings
width = 16  # channels of the U-Net's first stage
crop_size = (192, 192)
batch_size = 8
epochs = 20
learning_rate = 2e-3

# ---------------------------------------------------------------- model
model = dict(
    backbone=dict(base_channels=width),
    decode_head=dict(
        in_channels=width,
        channels=width,
        vocabulary=vocabulary,
        text_encoder=text_encoder,
        text_dims=text_dims,
        logits=logits,
    ),
)

# ---------------------------------------------------------------- data
train_pipeline = [
    dict(type='LoadSkyImage'),
    dict(type='LoadCloudAnnotations'),
    dict(type='RandomResize', scale=crop_size, ratio_range=(1.0, 1.6), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion', hue_delta=8),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadSkyImage'),
    dict(type='Resize', scale=crop_size, keep_ratio=True),
    dict(type='LoadCloudAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=batch_size, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# ---------------------------------------------------------------- schedule
optim_wrapper = dict(optimizer=dict(lr=learning_rate))
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=20, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=epochs, begin=0, end=epochs, by_epoch=True, convert_to_iter_based=True),
]
