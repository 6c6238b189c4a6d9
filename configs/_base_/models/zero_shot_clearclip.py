# ClearCLIP (Lan et al., ECCV 2024): queries attend to queries, without residual stream and feed-forward part. Windows
# are those of the released code, 448 by 224; the paper has 224 by 112.
_base_ = './zero_shot_vit.py'
model = dict(
    backbone=dict(dense='clearclip'),
    decode_head=dict(temperature=1 / 50),
    test_cfg=dict(crop_size=(448, 448), stride=(224, 224)),
)
