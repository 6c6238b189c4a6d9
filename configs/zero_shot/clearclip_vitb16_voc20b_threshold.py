# The same with background by a threshold: where no class is probable enough. Set the threshold on images at hand.
_base_ = './clearclip_vitb16_voc20b.py'

# ---------------------------------------------------------------- knobs
background = dict(name='background', below=0.2)
temperature = 0.025

# ---------------------------------------------------------------- model
model = dict(decode_head=dict(taxonomy=None, temperature=temperature), test_cfg=dict(background=background))
