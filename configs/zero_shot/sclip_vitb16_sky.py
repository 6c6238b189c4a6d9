# SCLIP: queries attend to queries and keys to keys.
_base_ = './maskclip_vitb16_sky.py'
model = dict(backbone=dict(dense='sclip'))
