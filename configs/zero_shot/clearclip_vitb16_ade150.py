# ClearCLIP on ADE20K, 150 classes: published mIoU 16.7 (the paper), not run here.
#   python tools/test.py configs/zero_shot/clearclip_vitb16_ade150.py none
# The released config and names could not be read: the size is that of its other sets, the
# names are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_clearclip.py',
    '../_base_/datasets/zero_shot/ade150.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_ade20k'))
test_dataloader = dict(dataset=dict(pipeline={{_base_.pipeline_448}}))
