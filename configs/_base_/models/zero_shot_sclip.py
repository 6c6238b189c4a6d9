# SCLIP (Wang, Mei and Yuille, ECCV 2024): queries attend to queries and keys to keys.
_base_ = './zero_shot_vit.py'
model = dict(backbone=dict(dense='sclip'))
