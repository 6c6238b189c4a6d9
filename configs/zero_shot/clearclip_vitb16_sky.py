# ClearCLIP: queries attend to queries, without the residual stream.
_base_ = './maskclip_vitb16_sky.py'
model = dict(backbone=dict(dense='clearclip'))
