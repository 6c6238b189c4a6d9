# ProxyCLIP on Pascal VOC 2012 without background: published mIoU 80.3 (the paper), not run here.
#   python tools/test.py configs/zero_shot/proxyclip_vitb16_voc20.py none
# The released config could not be read: the size is that of the set with background.
_base_ = [
    '../_base_/models/zero_shot_proxyclip.py',
    '../_base_/datasets/zero_shot/voc20.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(vocabulary='proxyclip_voc20'))
