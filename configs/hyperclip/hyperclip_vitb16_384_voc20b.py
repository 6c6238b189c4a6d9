# Pascal VOC 2012 with background (PAS-20b) by the model that was trained on COCO-Stuff. The prompts of the
# background are the classes that Pascal Context has in addition to those of Pascal VOC.
_base_ = ['./hyperclip_vitb16_384.py', '../_base_/datasets/open_vocabulary.py']
model = dict(decode_head=dict(taxonomy='voc20b_tree', vocabulary='voc20b'))
test_dataloader = dict(dataset={{_base_.voc20b}})
