# Pascal Context with 59 classes, prepared as described in the documentation of MMSegmentation.
_load, _pack = [dict(type='LoadAnnotations', reduce_zero_label=True)], [dict(type='PackSegInputs')]
pipeline_336, pipeline_448 = (
    [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(2048, side), keep_ratio=True), *_load, *_pack]
    for side in (336, 448)  # pixels of the shorter side
)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PascalContextDataset59',
        data_root='data/VOCdevkit/VOC2010',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassContext'),
        ann_file='ImageSets/SegmentationContext/val.txt',
        pipeline=pipeline_336,
    ),
)
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
