# Baseline: a plain U-Net under a plain FCN head. One epoch shows that the pipeline works.
_base_ = [
    './_base_/models/unet.py',
    './_base_/datasets/sky.py',
    './_base_/schedules/adamw.py',
    './_base_/default_runtime.py',
]

# ---------------------------------------------------------------- knobs
classes = 'genera'  # classes to learn
num_classes = 12  # number of these
width = 16  # channels of the first stage of the U-Net
epochs = 1

# ---------------------------------------------------------------- structure
model = dict(
    backbone=dict(base_channels=width),
    decode_head=dict(in_channels=width, channels=width, num_classes=num_classes, out_channels=num_classes),
)
train_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))
val_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=20, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=epochs, begin=0, end=epochs, by_epoch=True, convert_to_iter_based=True),
]
