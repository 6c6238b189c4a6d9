# Evaluation of the model trained on COCO-Stuff on Pascal VOC 2012 with background (PAS-20b). The prompts of the
# background are the classes that Pascal Context has in addition to those of Pascal VOC.
_base_ = './hyperclip_vitb16_384_voc20.py'
metainfo = None  # the labels of the background count
model = dict(decode_head=dict(taxonomy='voc20b_tree', vocabulary='voc20b'))
test_dataloader = dict(dataset=dict(metainfo=metainfo))
