# SCLIP on ADE20K, 150 classes: published mIoU 16.45 (its README), not run here.
#   python tools/test.py configs/zero_shot/sclip_vitb16_ade150.py none
_base_ = [
    '../_base_/models/zero_shot_sclip.py',
    '../_base_/datasets/zero_shot/ade150.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_ade20k'))
