# The baseline: the same U-Net under a plain FCN head; one epoch proves the pipeline.
_base_ = './hyperclip_unet_cloud.py'

# ---------------------------------------------------------------- knobs
width = 16
num_classes = 12  # of the vocabulary 'genera'
epochs = 1

# ---------------------------------------------------------------- structure
model = dict(
    type='EncoderDecoder',
    backbone=dict(base_channels=width),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=width,
        channels=width,
        num_convs=1,
        concat_input=False,
        num_classes=num_classes,
        out_channels=num_classes,
        norm_cfg=dict(type='BN', requires_grad=True),
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
)
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=20, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=epochs, begin=0, end=epochs, by_epoch=True, convert_to_iter_based=True),
]
