# HyperCLIP on all sets, each labeled as deep as it goes: pixels as "cloud", whole images as "cumulus", the procedural
# sky by genus. The sets are written by
#   python tools/benchmarks/development.py SOURCE data/development
#   python tools/make_sky.py data/sky --num-images 2600 --size 192 --val-fraction 0.1
# and, with --size 192 --camera fisheye --val-fraction 0.02, skies with much in front of them:
#   python tools/make_sky.py data/sky_street --num-images 600 --skyline street --seed 200000
#   python tools/make_sky.py data/sky_near --num-images 500 --skyline near --seed 300000
#   python tools/make_sky.py data/sky_houses --num-images 300 --skyline buildings --seed 400000
#   python tools/make_sky.py data/sky_street_day --num-images 900 --skyline street --time day --seed 500000
#   python tools/make_sky.py data/sky_near_day --num-images 700 --skyline near --time day --seed 600000
#   python tools/make_sky.py data/sky_more_houses --num-images 300 --skyline buildings --seed 700000
#   python tools/make_sky.py data/sky_trees --num-images 200 --skyline trees --seed 800000
# and, with --size 192 --val-fraction 0.02, more skies, and such with the thin clouds that those have few of:
#   python tools/make_sky.py data/sky_general --num-images 2400 --seed 1000000
#   python tools/make_sky.py data/sky_veil --num-images 350 --seed 900000 --genera cirrostratus
#   python tools/make_sky.py data/sky_veil_heaps --num-images 120 --seed 910000 --genera cirrostratus cumulus
#   python tools/make_sky.py data/sky_veil_rolls --num-images 100 --seed 920000 --genera cirrostratus altocumulus
#   python tools/make_sky.py data/sky_streaks --num-images 120 --seed 930000 --genera cirrus
#   python tools/make_sky.py data/sky_streaks_veil --num-images 80 --seed 940000 --genera cirrus cirrostratus
#   python tools/make_sky.py data/sky_puffs --num-images 80 --seed 950000 --genera cirrocumulus
#   python tools/make_sky.py data/sky_sheet --num-images 80 --seed 960000 --genera altostratus
_base_ = '../hyperclip_unet_cloud.py'

# ---------------------------------------------------------------- knobs
development = 'data/development'
sky = 'data/sky'
surrounded = [
    f'data/sky_{name}' for name in ('street', 'near', 'houses', 'street_day', 'near_day', 'more_houses', 'trees')
]
more_skies = [
    f'data/sky_{name}'
    for name in ('general', 'veil', 'veil_heaps', 'veil_rolls', 'streaks', 'streaks_veil', 'puffs', 'sheet')
]
# Sets of sky against not sky that converters wrote, such as [dict(data_root='data/cityscapes', img_suffix='.png')].
sky_against_not_sky = []
epochs = 8
# Real images vary within the range of these cameras, the procedural sky within that of any camera.
camera = dict(type='RandomCamera', exposure=0.25, white_balance=0.1, saturation=(0.7, 1.3), gamma=0.1, prob=0.5)

# ---------------------------------------------------------------- data
crop_size = (192, 192)
_load = [dict(type='LoadVerifiedImage'), dict(type='LoadVocabularyAnnotations')]
_crop = [dict(type='RandomCrop', crop_size=crop_size), dict(type='RandomFlip', prob=0.5)]
# What is cloud depends on the whole image, so real images are hardly cropped.
_resize = dict(type='RandomResize', scale=crop_size, keep_ratio=True, backend='pillow')
_cut = [dict(ratio_range=(1.0, 1.1), **_resize), *_crop]
# The label of a whole image holds for much of it.
_cut_part = [dict(ratio_range=(1.0, 1.6), **_resize), *_crop]
_cut_any = [dict(ratio_range=(1.0, 1.4), **_resize), *_crop]
# Obstructions and their kinds, from the rendered images, stand in front of real skies too.
foreground = dict(type='PasteForeground', donors=surrounded, ids=[18, 22, 23, 24, 25], prob=0.5)
_pack = dict(type='PackSegInputs')
_finish = [foreground, camera, _pack]
_finish_any = [dict(type='RandomCamera'), dict(type='PackAttributes')]
_set = dict(type='GroundCloudDataset', vocabulary='sky', ann_file='splits/train.txt')
# Images of cameras that look straight up have no horizon.
_upward = [*_load, *_cut, dict(type='RandomFlip', prob=0.5, direction='vertical'), *_finish]
_pixels = dict(img_suffix='.jpg', pipeline=_upward, **_set)
swimseg = dict(data_root=f'{development}/swimseg', **_pixels)
swinseg = dict(data_root=f'{development}/swinseg', **_pixels)
wsiseg = dict(data_root=f'{development}/wsiseg', **_pixels)
ccsn = dict(
    data_root=f'{development}/ccsn',
    img_suffix='.jpg',
    pipeline=[*_load, dict(type='LabelWholeImages'), *_cut_part, foreground, dict(type='RandomCamera'), _pack],
    **_set,
)
_rendered = dict(
    img_suffix='.png',
    data_prefix=dict(img_path='images', seg_map_path='masks', attributes_path='attributes'),
    pipeline=[*_load, dict(type='LoadAttributes'), *_cut_any, *_finish_any],
    **_set,
)
procedural = [dict(data_root=root, **_rendered) for root in (sky, *surrounded, *more_skies)]
outdoors = [dict(pipeline=[*_load, *_cut_any, *_finish], **_set, **chosen) for chosen in sky_against_not_sky]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        # The fewer images of a camera, the more often each is repeated.
        datasets=[
            dict(type='RepeatDataset', dataset=swimseg, times=2),
            dict(type='RepeatDataset', dataset=swinseg, times=8),
            dict(type='RepeatDataset', dataset=wsiseg, times=4),
            dict(type='RepeatDataset', dataset=ccsn, times=3),
            *procedural,
            *outdoors,
        ],
    )
)
_val = dict(type='GroundCloudDataset', vocabulary='sky', img_suffix='.jpg', ann_file='splits/val.txt')
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(data_root=f'{development}/{name}', pipeline={{_base_.test_pipeline}}, **_val)
            for name in ('swimseg', 'swinseg', 'wsiseg')
        ],
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='CloudCoverMetric')
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='mIoU/1'))
# Small things and thin clouds are rare.
small = dict({'sun': 3.0, 'moon': 3.0, 'structure': 3.0, 'lens flare': 3.0}, drop=2.0, overlay=2.0)
model = dict(
    decode_head=dict(
        loss_decode=dict(image_weight=1.0, node_weight=small),
        attribute_loss=dict(loss_weight=0.5, value_weight=dict(thin=1.5)),
    )
)

# ---------------------------------------------------------------- schedule
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=30, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=epochs, begin=0, end=epochs, by_epoch=True, convert_to_iter_based=True),
]
custom_hooks = [dict(type='MemoryFormatHook'), dict(type='EMAHook', momentum=0.005, update_buffers=True)]
