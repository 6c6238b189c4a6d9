# A loader of one image at a time, for tests alone.
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
