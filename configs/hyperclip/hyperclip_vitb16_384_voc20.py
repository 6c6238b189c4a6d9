# Pascal VOC 2012 without background (PAS-20) by the model that was trained on COCO-Stuff.
_base_ = ['./hyperclip_vitb16_384.py', '../_base_/datasets/open_vocabulary.py']
model = dict(decode_head=dict(vocabulary='voc20'))
test_dataloader = dict(dataset={{_base_.voc20}})
