# ProxyCLIP on Pascal Context, 59 classes: published mIoU 39.1 (the paper), not run here.
#   python tools/test.py configs/zero_shot/proxyclip_vitb16_context59.py none
# The released config and names could not be read: the size is that of the set with background,
# the names are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_proxyclip.py',
    '../_base_/datasets/zero_shot/context59.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_context59'))
