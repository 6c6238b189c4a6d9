# Pascal Context with 59 classes (PC-59) by the model that was trained on COCO-Stuff.
_base_ = ['./catseg_vitb16_384.py', '../_base_/datasets/open_vocabulary.py']
model = dict(decode_head=dict(vocabulary='pascal_context59'))
test_dataloader = dict(dataset={{_base_.pc59}})
