# MaskCLIP (Zhou, Loy and Dai, ECCV 2022): values of the last block. Exact GELU and eps 1e-6 are those of its released
# configuration. Sizes of images, templates and names could not be verified; they are those of the other methods, with
# whole images.
_base_ = './zero_shot_vit.py'
model = dict(
    backbone=dict(dense='maskclip', positions='size', activation='gelu', norm_eps=1e-6),
    decode_head=dict(temperature=1 / 100),
    test_cfg=dict(_delete_=True, mode='whole'),
)
