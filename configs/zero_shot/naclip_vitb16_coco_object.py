# NACLIP on COCO-Object: published mIoU 36.19 (its README), not run here.
#   python tools/test.py configs/zero_shot/naclip_vitb16_coco_object.py none
# The released names could not be read; by its README it follows SCLIP, so these are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_naclip.py',
    '../_base_/datasets/zero_shot/coco_object.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(vocabulary='sclip_coco_object'),
    test_cfg=dict(background=dict(name='background', below=0.1)),
)
