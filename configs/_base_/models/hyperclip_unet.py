# The U-Net under HyperCLIP, with words as classes.
_base_ = './unet.py'
width = 16
model = dict(
    type='HyperCLIPSegmentor',
    decode_head=dict(
        _delete_=True,
        type='HyperCLIPHead',
        in_channels=width,
        in_index=-1,
        channels=width,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        norm_cfg=dict(type='BN', requires_grad=True),
        vocabulary='binary',  # the number of classes follows it
        text_encoder=dict(type='OpenCLIPTextEncoder', model='offline'),
        text_dims=384,
        tuner=dict(block_size=128, shared_scale=True),
        logits='distance',
        curvature=dict(value=1.0, learned=True, bounds=(0.1, 10.0)),
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
)
tta_model = dict(type='HyperCLIPTTAModel')
