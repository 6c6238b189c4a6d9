# SCLIP on Pascal Context, 59 classes and background: published mIoU 31.74 (its README), not run here.
#   python tools/test.py configs/zero_shot/sclip_vitb16_context60.py none
_base_ = [
    '../_base_/models/zero_shot_sclip.py',
    '../_base_/datasets/zero_shot/context60.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(vocabulary='pascal_context60', temperature=1 / 50),
    test_cfg=dict(background=dict(name='background', below=0.1)),
)
