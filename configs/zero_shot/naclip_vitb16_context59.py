# NACLIP on Pascal Context, 59 classes: published mIoU 38.35 (its README), not run here.
#   python tools/test.py configs/zero_shot/naclip_vitb16_context59.py none
# The released names could not be read; by its README it follows SCLIP, so these are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_naclip.py',
    '../_base_/datasets/zero_shot/context59.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_context59'))
