# ClearCLIP on Pascal VOC 2012 without background: published mIoU 80.9 (the paper), not run here.
#   python tools/test.py configs/zero_shot/clearclip_vitb16_voc20.py none
# The released names could not be read; these are those with background less that.
_base_ = [
    '../_base_/models/zero_shot_clearclip.py',
    '../_base_/datasets/zero_shot/voc20.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='proxyclip_voc20'))
test_dataloader = dict(dataset=dict(pipeline={{_base_.pipeline_448}}))
