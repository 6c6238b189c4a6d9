# HyperCLIP for real images, trained on the procedural sky alone, mostly by day, without a single real label. The sets
# are written by
#   python tools/make_sky.py data/sky --num-images 1600 --size 192
#   python tools/make_sky.py data/sky_planar --num-images 2500 --size 192 --time day --camera planar \
#       --seed 50000 --val-fraction 0.02
#   python tools/make_sky.py data/sky_fisheye --num-images 2500 --size 192 --time day --camera fisheye \
#       --seed 90000 --val-fraction 0.02
_base_ = '../hyperclip_unet_cloud.py'

# ---------------------------------------------------------------- knobs
sets = ('data/sky', 'data/sky_planar', 'data/sky_fisheye')
scale = (192, 192)
crop_size = (160, 160)
epochs = 1  # with more, the decoder overfits the renderer
# The encoder must not forget real images; its norms mix in the statistics of the camera.
frozen, adapt = True, 0.15
camera = dict(
    type='RandomCamera',
    exposure=0.6,
    white_balance=0.35,
    saturation=(0.4, 1.6),
    gamma=0.3,
    blur=1.5,
    prob=1.0,
)

# ---------------------------------------------------------------- model
# The light of real nights under lamps differs from daylight; without labels of nights it has to be corrected.
# Finer masks than those of the training gain nothing here: 0.855, 0.724, 0.871 for 0.858, 0.727, 0.880 on SWIMSEG,
# SWINSEG, WSISEG.
model = dict(
    data_preprocessor=dict(type='DaylightPreProcessor', test_cfg=dict(size_divisor=32)),
    backbone=dict(frozen=frozen, adapt=adapt),
    test_cfg=dict(shrink=1, guided=dict(radius=4, eps=1e-4), color_likelihood=dict(step=1, varied=[])),
)

# ---------------------------------------------------------------- data
train_pipeline = [
    dict(type='LoadVerifiedImage'),
    dict(type='LoadVocabularyAnnotations'),
    dict(type='RandomResize', scale=scale, ratio_range=(1.0, 1.4), keep_ratio=True, backend='pillow'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    camera,
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadVerifiedImage'),
    dict(type='Resize', scale=scale, keep_ratio=True, backend='pillow'),
    dict(type='LoadVocabularyAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='GroundCloudDataset',
                data_root=root,
                img_suffix='.png',
                vocabulary='sky',
                ann_file='splits/train.txt',
                pipeline=train_pipeline,
            )
            for root in sets
        ],
    )
)

val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# ---------------------------------------------------------------- schedule
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=30, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=epochs, begin=0, end=epochs, by_epoch=True, convert_to_iter_based=True),
]
custom_hooks = [dict(type='MemoryFormatHook'), dict(type='EMAHook', momentum=0.01, update_buffers=True)]
