# The vision transformer of CLIP without training: patches of the image are compared with words.
clip = dict(model='ViT-B-16', pretrained='openai')  # of open_clip; pretrained may also be a checkpoint file
text_dims = 512  # of the joint space
model = dict(
    type='HyperCLIPSegmentor',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[122.7709383, 116.7460125, 104.09373615],
        std=[68.5005327, 66.6321579, 70.32316305],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=16,
        test_cfg=dict(size_divisor=16),
    ),
    backbone=dict(type='OpenCLIPVisionBackbone', dense='maskclip', **clip),
    decode_head=dict(
        type='HyperCLIPHead',
        in_channels=text_dims,
        in_index=-1,
        channels=text_dims,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0,
        projection=False,
        vocabulary='binary',
        text_encoder=dict(type='OpenCLIPTextEncoder', **clip),
        text_dims=text_dims,
        logits='cosine',
        temperature=0.01,  # that of CLIP
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
tta_model = dict(type='HyperCLIPTTAModel')
