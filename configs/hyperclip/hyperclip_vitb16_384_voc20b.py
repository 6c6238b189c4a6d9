# What was trained on COCO-Stuff, on Pascal VOC 2012 with background (PAS-20b), which goes by the names of the classes
# that Pascal Context has beside those of Pascal VOC.
_base_ = './hyperclip_vitb16_384.py'
model = dict(decode_head=dict(taxonomy='voc20b_tree', vocabulary='voc20b'))
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='PascalVOCDataset',
        data_root='data/VOCdevkit/VOC2012',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
        pipeline={{_base_.test_pipeline}},
    )
)
