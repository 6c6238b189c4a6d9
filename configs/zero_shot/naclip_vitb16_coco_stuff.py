# NACLIP on COCO-Stuff, 171 classes: published mIoU 25.69 (its README), not run here.
#   python tools/test.py configs/zero_shot/naclip_vitb16_coco_stuff.py none
# The released names could not be read; by its README it follows SCLIP, so these are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_naclip.py',
    '../_base_/datasets/zero_shot/coco_stuff.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_coco_stuff'))
test_dataloader = dict(dataset=dict(pipeline={{_base_.pipeline_448}}))
