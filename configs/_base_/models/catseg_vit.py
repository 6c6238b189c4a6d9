# CAT-Seg as released (Cho et al., CVPR 2024): the costs between both towers of CLIP are aggregated. Of the towers the
# weights of queries and values are trained.
_base_ = './clip_vit.py'
clip = dict(model='ViT-B-16', pretrained='openai')  # of open_clip; pretrained may also be a checkpoint file
width, text_dims = 768, 512  # of the vision tower, of the joint space
trainable = ('q_proj', 'v_proj')
model = dict(
    data_preprocessor=dict(size=(384, 384), size_divisor=None, test_cfg=None),
    backbone=dict(dense='catseg', out_indices=(3, 7), antialias=False, trainable=trainable, **clip),
    decode_head=dict(
        _delete_=True,
        type='CostAggregationHead',
        vocabulary='coco_stuff',
        text_encoder=dict(
            type='OpenCLIPTextEncoder', templates=['A photo of a {} in the scene'], trainable=trainable, **clip
        ),
        text_dims=text_dims,
        in_channels=(width, width, text_dims),
        cost='cosine',
        aggregation=dict(eval_pooling=1, align_corners=True, unit_guidance=False),
        loss_decode=dict(type='MultilabelCrossEntropyLoss', ignored='negative'),
    ),
    # Windows of the image as a square, and the whole image at the size of one.
    test_cfg=dict(
        mode='slide',
        resize=(640, 640),
        crop_size=(384, 384),
        stride=(256, 256),
        whole_view=(384, 384),
        antialias=False,
    ),
)
