# COCO-Stuff, 171 classes, prepared as described in the documentation of MMSegmentation.
_base_ = './one_image.py'
_load, _pack = [dict(type='LoadAnnotations')], [dict(type='PackSegInputs')]
pipeline_336, pipeline_448 = (
    [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(2048, side), keep_ratio=True), *_load, *_pack]
    for side in (336, 448)  # pixels of the shorter side
)
test_dataloader = dict(
    dataset=dict(
        type='COCOStuffDataset',
        data_root='data/coco_stuff164k',
        data_prefix=dict(img_path='images/val2017', seg_map_path='annotations/val2017'),
        pipeline=pipeline_336,
    ),
)
