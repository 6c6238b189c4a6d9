# SCLIP on Pascal VOC 2012 with background: published mIoU 59.63 (its README), not run here.
#   python tools/test.py configs/zero_shot/sclip_vitb16_voc21.py none
_base_ = [
    '../_base_/models/zero_shot_sclip.py',
    '../_base_/datasets/zero_shot/voc21.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(vocabulary='sclip_voc21', temperature=1 / 65),
    test_cfg=dict(background=dict(name='background', below=0.1), min_area=0.1),
)
