# ADE20K, 150 classes, prepared as described in the documentation of MMSegmentation.
_base_ = './one_image.py'
_load, _pack = [dict(type='LoadAnnotations', reduce_zero_label=True)], [dict(type='PackSegInputs')]
pipeline_336, pipeline_448 = (
    [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(2048, side), keep_ratio=True), *_load, *_pack]
    for side in (336, 448)  # pixels of the shorter side
)
test_dataloader = dict(
    dataset=dict(
        type='ADE20KDataset',
        data_root='data/ade/ADEChallengeData2016',
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        pipeline=pipeline_336,
    ),
)
