# ClearCLIP on COCO-Stuff, 171 classes: published mIoU 23.9 (the paper), not run here.
#   python tools/test.py configs/zero_shot/clearclip_vitb16_coco_stuff.py none
# The released config and names could not be read: the size is that of its other sets, the
# names are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_clearclip.py',
    '../_base_/datasets/zero_shot/coco_stuff.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_coco_stuff'))
test_dataloader = dict(dataset=dict(pipeline={{_base_.pipeline_448}}))
