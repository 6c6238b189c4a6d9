# SCLIP on COCO-Object: published mIoU 33.52 (its README), not run here.
#   python tools/test.py configs/zero_shot/sclip_vitb16_coco_object.py none
_base_ = [
    '../_base_/models/zero_shot_sclip.py',
    '../_base_/datasets/zero_shot/coco_object.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(vocabulary='sclip_coco_object', temperature=1 / 50),
    test_cfg=dict(background=dict(name='background', below=0.1)),
)
