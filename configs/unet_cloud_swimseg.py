# The plain U-Net on SWIMSEG, for comparison with hyperclip_unet_cloud_swimseg.py.
_base_ = './hyperclip_unet_cloud_swimseg.py'

# ---------------------------------------------------------------- knobs
width = 16
num_classes = 2

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
