# HyperCLIP as released (Peng et al., CVPR 2025): CAT-Seg, whose towers are frozen but for the hyperbolic radius of the
# weights of queries, keys and values, which block-diagonal matrices scale.
_base_ = './catseg_vit.py'
model = dict(
    backbone=dict(trainable=(), adapter=dict(type='RadiusScaling', block_size=128, curvature=0.01)),
    decode_head=dict(text_encoder=dict(trainable=(), adapter=dict(type='RadiusScaling', block_size=128, curvature=1.0))),
)
