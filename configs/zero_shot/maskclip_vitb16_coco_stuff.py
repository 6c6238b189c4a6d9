# MaskCLIP on COCO-Stuff, 171 classes: not run here.
#   python tools/test.py configs/zero_shot/maskclip_vitb16_coco_stuff.py none
_base_ = [
    '../_base_/models/zero_shot_maskclip.py',
    '../_base_/datasets/zero_shot/coco_stuff.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_coco_stuff'))
test_dataloader = dict(dataset=dict(pipeline={{_base_.pipeline_448}}))
