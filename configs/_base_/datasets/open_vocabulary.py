# The sets on which models trained on COCO-Stuff are tested, as values of test_dataloader.dataset. A-847 and PC-459 are
# written by
#   python tools/dataset_converters/ade20k_full.py data/ADE20K_2021_17_01 data/ade20k_full
#   python tools/dataset_converters/pascal_context459.py data/VOCdevkit/VOC2010 data/pascal_context459
# and the others prepared as described in the documentation of MMSegmentation.
_base_ = './voc_classes.py'
short_side = dict(type='Resize', scale=(2560, 640), keep_ratio=True, backend='pillow')
many_classes_ignore = 65535  # labels of sets with more than 255 classes hold 16 bits
many_classes_vocabulary = 'data/pascal_context459/vocabulary.yaml'

_read = [dict(type='LoadImageFromFile'), short_side]
_plain = [*_read, dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
_from_one = [*_read, dict(type='LoadAnnotations', reduce_zero_label=True), dict(type='PackSegInputs')]
_many = [
    dict(type='LoadVerifiedImage'),
    short_side,
    dict(type='LoadVocabularyAnnotations'),
    dict(type='PackSegInputs'),
]
_voc = dict(
    _delete_=True,
    type='PascalVOCDataset',
    data_root='data/VOCdevkit/VOC2012',
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
    ann_file='ImageSets/Segmentation/val.txt',
    pipeline=_plain,
)

ade150 = dict(
    _delete_=True,
    type='ADE20KDataset',
    data_root='data/ade/ADEChallengeData2016',
    data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
    pipeline=_from_one,
)
ade847 = dict(
    _delete_=True,
    type='VocabularyDataset',
    data_root='data/ade20k_full',
    ann_file='splits/val.txt',
    vocabulary='ade20k_full',
    img_suffix='.png',
    ignore_index=many_classes_ignore,
    pipeline=_many,
)
pc459 = dict(
    _delete_=True,
    type='VocabularyDataset',
    data_root='data/pascal_context459',
    ann_file='splits/val.txt',
    vocabulary=many_classes_vocabulary,
    ignore_index=many_classes_ignore,
    pipeline=_many,
)
pc59 = dict(
    _delete_=True,
    type='PascalContextDataset59',
    data_root='data/VOCdevkit/VOC2010',
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassContext'),
    ann_file='ImageSets/SegmentationContext/val.txt',
    pipeline=_from_one,
)
voc20 = dict(metainfo=dict(classes={{_base_.voc_classes}}), **_voc)  # labels of the background are ignored
voc20b = _voc
