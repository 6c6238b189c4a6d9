# Evaluation of the model trained on COCO-Stuff on Pascal VOC 2012 without background (PAS-20), prepared as described in
# the documentation of MMSegmentation.
_base_ = './hyperclip_vitb16_384.py'

# ---------------------------------------------------------------- knobs
classes = (
    'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
    'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor',
)  # fmt: skip

# ---------------------------------------------------------------- model and data
model = dict(decode_head=dict(vocabulary='voc20'))
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='PascalVOCDataset',
        data_root='data/VOCdevkit/VOC2012',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
        metainfo=dict(classes=classes),  # labels of the background are ignored
        pipeline={{_base_.test_pipeline}},
    )
)
