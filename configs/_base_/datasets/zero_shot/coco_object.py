# COCO-Object, the 80 things of COCO and background, written by
#   python tools/dataset_converters/coco_object.py data/coco_stuff164k data/coco_object
_base_ = './one_image.py'
_load, _pack = [dict(type='LoadVocabularyAnnotations')], [dict(type='PackSegInputs')]
pipeline_336, pipeline_448 = (
    [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(2048, side), keep_ratio=True), *_load, *_pack]
    for side in (336, 448)  # pixels of the shorter side
)
test_dataloader = dict(
    dataset=dict(
        type='VocabularyDataset',
        data_root='data/coco_object',
        ann_file='splits/val.txt',
        vocabulary='sclip_coco_object',  # the names of the ids
        pipeline=pipeline_336,
    ),
)
