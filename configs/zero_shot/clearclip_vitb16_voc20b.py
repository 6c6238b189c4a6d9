# The same with background, whose prompts are the nodes below it in the taxonomy.
_base_ = './clearclip_vitb16_voc20.py'
metainfo = None
model = dict(decode_head=dict(taxonomy='voc20b_tree', vocabulary='voc20b'))
test_dataloader = dict(dataset=dict(metainfo=metainfo))
