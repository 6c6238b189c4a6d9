# ClearCLIP on Pascal VOC 2012 with a background whose prompts are the nodes below it in the taxonomy.
_base_ = './clearclip_vitb16_voc21.py'
model = dict(
    decode_head=dict(taxonomy='voc20b_tree', vocabulary='voc20b', queries='concept'), test_cfg=dict(background=None)
)
