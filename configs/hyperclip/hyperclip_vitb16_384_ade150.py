# Evaluation of the model trained on COCO-Stuff on ADE20K with 150 classes, prepared as described in the
# documentation of MMSegmentation:
#   bash tools/dist_test.sh configs/hyperclip/hyperclip_vitb16_384_ade150.py CHECKPOINT 4
_base_ = './hyperclip_vitb16_384.py'
model = dict(decode_head=dict(vocabulary='ade20k'))
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ADE20KDataset',
        data_root='data/ade/ADEChallengeData2016',
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(640, 640), keep_ratio=False),
            dict(type='LoadAnnotations', reduce_zero_label=True),
            dict(type='PackSegInputs'),
        ],
    )
)
