# HyperCLIP on SWIMSEG: clear sky and cloud, by day, one camera. The data is written by
#   python tools/dataset_converters/swimseg.py SOURCE data/swimseg
# The classifiers are compared on this plain U-Net with random weights, which trains in minutes.
_base_ = [
    './_base_/models/hyperclip_unet.py',
    './_base_/datasets/sky.py',
    './_base_/schedules/adamw.py',
    './_base_/default_runtime.py',
    './_base_/sky_templates.py',
]

# ---------------------------------------------------------------- knobs
logits = 'distance'  # 'distance', 'mlr', or 'cosine', the Euclidean control
vocabulary = 'binary'
data_root = 'data/swimseg'
img_suffix = '.png'
crop_size = (128, 128)
epochs = 30

# ---------------------------------------------------------------- model
model = dict(
    decode_head=dict(
        vocabulary=vocabulary, logits=logits, text_encoder=dict(templates={{_base_.sky_templates}}), known_words='sky'
    )
)

# ---------------------------------------------------------------- data
train_pipeline = [
    dict(type='LoadVerifiedImage'),
    dict(type='LoadVocabularyAnnotations'),
    dict(type='RandomResize', scale=crop_size, ratio_range=(1.0, 1.6), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    # The patches have neither a horizon nor an upper side, and the colors of a single camera stay unchanged.
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadVerifiedImage'),
    dict(type='Resize', scale=crop_size, keep_ratio=True),
    dict(type='LoadVocabularyAnnotations'),
    dict(type='PackSegInputs'),
]
_dataset = dict(data_root=data_root, img_suffix=img_suffix, vocabulary=vocabulary, metainfo=dict(classes=vocabulary))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **_dataset))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, **_dataset))
test_dataloader = val_dataloader

# ---------------------------------------------------------------- schedule
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=20, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=epochs, begin=0, end=epochs, by_epoch=True, convert_to_iter_based=True),
]
