# ClearCLIP on Pascal Context, 59 classes: published mIoU 35.9 (the paper), not run here.
#   python tools/test.py configs/zero_shot/clearclip_vitb16_context59.py none
# The released names could not be read; these are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_clearclip.py',
    '../_base_/datasets/zero_shot/context59.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_context59'))
test_dataloader = dict(dataset=dict(pipeline={{_base_.pipeline_448}}))
