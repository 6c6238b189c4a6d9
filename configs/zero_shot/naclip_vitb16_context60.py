# NACLIP on Pascal Context, 59 classes and background: published mIoU 34.99 (its README), not run here.
#   python tools/test.py configs/zero_shot/naclip_vitb16_context60.py none
# The released names could not be read; by its README it follows SCLIP, so these are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_naclip.py',
    '../_base_/datasets/zero_shot/context60.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(vocabulary='pascal_context60'),
    test_cfg=dict(background=dict(name='background', below=0.1)),
)
