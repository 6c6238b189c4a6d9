# MaskCLIP on ADE20K, 150 classes: not run here.
#   python tools/test.py configs/zero_shot/maskclip_vitb16_ade150.py none
_base_ = [
    '../_base_/models/zero_shot_maskclip.py',
    '../_base_/datasets/zero_shot/ade150.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_ade20k'))
test_dataloader = dict(dataset=dict(pipeline={{_base_.pipeline_448}}))
