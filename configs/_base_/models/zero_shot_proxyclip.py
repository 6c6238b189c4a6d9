# ProxyCLIP (Lan et al., ECCV 2024): features of DINO ViT-B/8 say which values of CLIP's last block belong together.
_base_ = './zero_shot_vit.py'
_clip = dict(model='ViT-B-16', pretrained='openai')
model = dict(
    backbone=dict(
        _delete_=True,
        type='ProxyCLIPBackbone',
        proxy=dict(encoder='vit_base_patch8_224.dino', weights='hub'),
        beta=1.2,
        gamma=3.0,
        **_clip,
    ),
    test_cfg=dict(crop_size=(336, 336), stride=(112, 112)),
)
