# ProxyCLIP on COCO-Object: published mIoU 37.5 (the paper), not run here.
#   python tools/test.py configs/zero_shot/proxyclip_vitb16_coco_object.py none
_base_ = [
    '../_base_/models/zero_shot_proxyclip.py',
    '../_base_/datasets/zero_shot/coco_object.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(vocabulary='proxyclip_coco_object'),
    test_cfg=dict(background=dict(name='background', below=0.25)),
)
