# Evaluation of the model trained on COCO-Stuff on Pascal Context with 59 classes (PC-59), prepared as described in the
# documentation of MMSegmentation.
_base_ = './hyperclip_vitb16_384_ade150.py'
model = dict(decode_head=dict(vocabulary='pascal_context59'))
test_dataloader = dict(
    dataset=dict(
        type='PascalContextDataset59',
        data_root='data/VOCdevkit/VOC2010',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassContext'),
        ann_file='ImageSets/SegmentationContext/val.txt',
    )
)
