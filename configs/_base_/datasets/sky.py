# The procedural sky on disk, written by: python tools/make_sky.py data/sky
_dataset = dict(
    type='GroundCloudDataset',
    data_root='data/sky',
    data_prefix=dict(img_path='images', seg_map_path='masks'),
    img_suffix='.png',
    vocabulary='sky',  # what the ids in the label files mean
    metainfo=dict(classes='genera'),  # what the model learns of it
)
train_dataloader = dict(
    num_workers=2,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(ann_file='splits/train.txt', **_dataset),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(ann_file='splits/val.txt', **_dataset),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='CloudIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
