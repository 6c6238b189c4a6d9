# The procedural sky on disk, written by: python tools/make_sky.py data/sky
crop_size = (192, 192)
# Images are resized by Pillow, which averages where it shrinks them.
train_pipeline = [
    dict(type='LoadVerifiedImage'),
    dict(type='LoadVocabularyAnnotations'),
    dict(type='RandomResize', scale=crop_size, ratio_range=(1.0, 1.6), keep_ratio=True, backend='pillow'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCamera'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadVerifiedImage'),
    dict(type='Resize', scale=crop_size, keep_ratio=True, backend='pillow'),
    dict(type='LoadVocabularyAnnotations'),
    dict(type='PackSegInputs'),
]
_dataset = dict(
    type='GroundCloudDataset',
    data_root='data/sky',
    data_prefix=dict(img_path='images', seg_map_path='masks'),
    img_suffix='.png',
    vocabulary='sky',  # meaning of the ids in the label files
)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(ann_file='splits/train.txt', pipeline=train_pipeline, **_dataset),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(ann_file='splits/val.txt', pipeline=test_pipeline, **_dataset),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='VocabularyIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
