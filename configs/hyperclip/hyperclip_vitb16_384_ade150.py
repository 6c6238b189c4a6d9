# ADE20K with 150 classes by the model that was trained on COCO-Stuff.
_base_ = ['./hyperclip_vitb16_384.py', '../_base_/datasets/open_vocabulary.py']
model = dict(decode_head=dict(vocabulary='ade20k'))
test_dataloader = dict(dataset={{_base_.ade150}})
