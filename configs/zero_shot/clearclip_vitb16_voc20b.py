# The same with background, which goes by a list of prompts: what lies below it in the tree.
_base_ = './clearclip_vitb16_voc20.py'
metainfo = None
model = dict(decode_head=dict(taxonomy='voc20b_tree', vocabulary='voc20b'))
test_dataloader = dict(dataset=dict(metainfo=metainfo))
