# ProxyCLIP on Pascal VOC 2012 with background: published mIoU 61.3 (the paper), not run here.
#   python tools/test.py configs/zero_shot/proxyclip_vitb16_voc21.py none
_base_ = [
    '../_base_/models/zero_shot_proxyclip.py',
    '../_base_/datasets/zero_shot/voc21.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(vocabulary='proxyclip_voc21'),
    test_cfg=dict(background=dict(name='background', below=0.2)),
)
