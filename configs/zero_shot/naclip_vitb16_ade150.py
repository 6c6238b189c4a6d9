# NACLIP on ADE20K, 150 classes: published mIoU 19.05 (its README), not run here.
#   python tools/test.py configs/zero_shot/naclip_vitb16_ade150.py none
# The released names could not be read; by its README it follows SCLIP, so these are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_naclip.py',
    '../_base_/datasets/zero_shot/ade150.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_ade20k'))
