# Evaluation of the model trained on COCO-Stuff on Pascal Context with all 459 classes (PC-459), written by
#   python tools/dataset_converters/pascal_context459.py data/VOCdevkit/VOC2010 data/pascal_context459
_base_ = './hyperclip_vitb16_384.py'

# ---------------------------------------------------------------- knobs
data_root = 'data/pascal_context459'
vocabulary = f'{data_root}/vocabulary.yaml'
ignore = 65535  # label files hold 16 bits

# ---------------------------------------------------------------- model and data
model = dict(data_preprocessor=dict(seg_pad_val=ignore), decode_head=dict(vocabulary=vocabulary))
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='VocabularyDataset',
        data_root=data_root,
        ann_file='splits/val.txt',
        vocabulary=vocabulary,
        ignore_index=ignore,
        pipeline=[
            dict(type='LoadVerifiedImage'),
            dict(type='Resize', scale={{_base_.test_size}}, keep_ratio=False),
            dict(type='LoadVocabularyAnnotations'),
            dict(type='PackSegInputs'),
        ],
    )
)
test_evaluator = dict(ignore_index=ignore)
