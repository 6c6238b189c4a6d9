# Pascal VOC 2012 without background, which is ignored, prepared as described in the documentation of MMSegmentation.
_base_ = ['./one_image.py', '../voc_classes.py']
_load, _pack = [dict(type='LoadAnnotations')], [dict(type='PackSegInputs')]
pipeline_336, pipeline_448 = (
    [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(2048, side), keep_ratio=True), *_load, *_pack]
    for side in (336, 448)  # pixels of the shorter side
)
test_dataloader = dict(
    dataset=dict(
        type='PascalVOCDataset',
        data_root='data/VOCdevkit/VOC2012',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
        metainfo=dict(classes={{_base_.voc_classes}}),
        pipeline=pipeline_336,
    ),
)
