# The fully hyperbolic U-Net on SWIMSEG, for comparison with unet_cloud_swimseg.py.
_base_ = './unet_cloud_swimseg.py'

# ---------------------------------------------------------------- knobs
curvature = 0.001  # rho near 1 at a feature length of sqrt(256); farther out, gradients grow with every layer

# ---------------------------------------------------------------- structure
conv_cfg = dict(type='HyperbolicConv2d', c=curvature)
norm_cfg = dict(type='HyperbolicBN', c=curvature)
act_cfg = dict(type='ReLU')  # on tangent coordinates, the Moebius version; HyperbolicReLU is that of the hyperboloid
model = dict(
    backbone=dict(
        conv_cfg=conv_cfg,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
        upsample_cfg=dict(type='InterpConv', conv_cfg=conv_cfg),
    ),
    decode_head=dict(
        _delete_=True,
        type='HyperbolicHead',
        classifier=dict(type='HyperbolicMLR', c=curvature),
        head=dict(
            type='FCNHead',
            in_channels={{_base_.width}},
            channels={{_base_.width}},
            in_index=-1,
            num_convs=1,
            concat_input=False,
            dropout_ratio=0.1,
            num_classes={{_base_.num_classes}},
            out_channels={{_base_.num_classes}},
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
        ),
    ),
)
