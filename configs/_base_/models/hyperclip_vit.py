# HyperCLIP as released (Peng et al., CVPR 2025): CAT-Seg, whose towers are frozen but for the hyperbolic radius of the
# weights of queries, keys and values, which block-diagonal matrices scale.
_base_ = './catseg_vit.py'
adapter = dict(type='RadiusScaling', block_size=128)
model = dict(
    backbone=dict(trainable=(), adapter=dict(curvature=0.01, **adapter)),
    decode_head=dict(text_encoder=dict(trainable=(), adapter=dict(curvature=1.0, **adapter))),
)
