# ProxyCLIP on COCO-Stuff, 171 classes: published mIoU 26.5 (the paper), not run here.
#   python tools/test.py configs/zero_shot/proxyclip_vitb16_coco_stuff.py none
# The released names could not be read; these are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_proxyclip.py',
    '../_base_/datasets/zero_shot/coco_stuff.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='sclip_coco_stuff'))
