# SCLIP on Pascal Context, 59 classes: published mIoU 34.46 (its README), not run here.
#   python tools/test.py configs/zero_shot/sclip_vitb16_context59.py none
_base_ = [
    '../_base_/models/zero_shot_sclip.py',
    '../_base_/datasets/zero_shot/context59.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_context59'))
