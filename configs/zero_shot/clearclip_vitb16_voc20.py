# ClearCLIP on Pascal VOC 2012 without background. Nothing is trained; images are prepared as described in the
# documentation of MMSegmentation:
#   python tools/test.py configs/zero_shot/clearclip_vitb16_voc20.py none
_base_ = ['../_base_/models/clip_vit.py', '../_base_/schedules/adamw.py', '../_base_/default_runtime.py']

# ---------------------------------------------------------------- knobs
vocabulary = 'voc20'
metainfo = dict(
    classes=(
        'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
        'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor',
    )
)  # fmt: skip
side = 448  # pixels of the shorter side

# ---------------------------------------------------------------- model
model = dict(
    backbone=dict(dense='clearclip'),
    decode_head=dict(vocabulary=vocabulary, text_encoder=dict(templates='imagenet')),  # as in ClearCLIP
    test_cfg=dict(mode='slide', crop_size=(224, 224), stride=(112, 112)),
)

# ---------------------------------------------------------------- data
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, side), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PascalVOCDataset',
        data_root='data/VOCdevkit/VOC2012',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
        metainfo=metainfo,
        pipeline=test_pipeline,
    ),
)
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
# Nothing is trained and nothing validated.
train_cfg = optim_wrapper = None
val_cfg = None
