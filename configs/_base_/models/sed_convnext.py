# SED (Xie et al., CVPR 2024): the costs between a ConvNeXt of CLIP and words are refined along the stages of the
# ConvNeXt. Sizes and settings are those of the released configuration, which was read; no record of what the released
# code computes was at hand, so nothing here is tested against it.
_base_ = './clip_vit.py'
clip = dict(model='convnext_base_w_320', pretrained='laion_aesthetic_s13b_b82k')  # of open_clip
widths, text_dims = (128, 256, 512), 640  # of the stages before the last one, of the joint space
size = (768, 768)
model = dict(
    data_preprocessor=dict(size=size, size_divisor=None, test_cfg=None),
    # The whole tower is trained; in evaluation images become squares of the training's size.
    backbone=dict(out_indices=(0, 1, 2), resolution=size, antialias=False, trainable=('',), **clip),
    decode_head=dict(
        _delete_=True,
        type='SEDHead',
        vocabulary='coco_stuff',
        text_encoder=dict(type='OpenCLIPTextEncoder', templates='imagenet', **clip),
        text_dims=text_dims,
        in_channels=(*widths[::-1], text_dims),
        in_index=(2, 1, 0, 3),
        cost='cosine',
        rejection=None,  # as in the released configuration; a positive number, such as 8, is faster
        loss_decode=dict(type='MultilabelCrossEntropyLoss', ignored='negative'),
    ),
    test_cfg=dict(mode='whole'),
)
