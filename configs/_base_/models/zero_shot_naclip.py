# NACLIP (Hajimiri, Ben Ayed and Dolz, WACV 2025): keys attend to keys and to their neighbors, without residual stream
# and feed-forward part; PAMR refines.
_base_ = './zero_shot_vit.py'
model = dict(backbone=dict(dense='naclip'), test_cfg=dict(pamr=dict(steps=10, dilations=(8, 16))))
