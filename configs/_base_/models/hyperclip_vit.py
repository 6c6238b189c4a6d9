# HyperCLIP as published (Peng et al., CVPR 2025): the hyperbolic radius of both towers of CLIP is scaled, and their
# costs are aggregated as in CAT-Seg (Cho et al., CVPR 2024).
_base_ = './clip_vit.py'
clip = dict(model='ViT-B-16', pretrained='openai')  # of open_clip; pretrained may also be a checkpoint file
width, text_dims = 768, 512  # of the vision tower, of the joint space
model = dict(
    data_preprocessor=dict(size=(384, 384), size_divisor=None),
    backbone=dict(out_indices=(3, 7), scaling=dict(block_size=128, curvature=0.01), **clip),
    decode_head=dict(
        _delete_=True,
        type='CostAggregationHead',
        vocabulary='coco_stuff',
        text_encoder=dict(
            type='OpenCLIPTextEncoder',
            templates=['A photo of a {} in the scene'],
            scaling=dict(block_size=128, curvature=1.0),
            **clip,
        ),
        text_dims=text_dims,
        in_channels=(width, width, text_dims),
        cost='cosine',
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True),
    ),
    # Windows, and the whole image at the size of one.
    test_cfg=dict(mode='slide', crop_size=(384, 384), stride=(256, 256), whole_view=(384, 384)),
)
