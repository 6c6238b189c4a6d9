# ProxyCLIP on ADE20K, 150 classes: published mIoU 20.2 (the paper), not run here.
#   python tools/test.py configs/zero_shot/proxyclip_vitb16_ade150.py none
# The released names could not be read; these are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_proxyclip.py',
    '../_base_/datasets/zero_shot/ade150.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_ade20k'))
test_dataloader = dict(dataset=dict(pipeline={{_base_.pipeline_448}}))
