# HyperCLIP with the ViT-L/14 of CLIP; windows of 384 pixels are resized to its training size of 336.
_base_ = './hyperclip_vitb16_384.py'

# ---------------------------------------------------------------- knobs
clip = dict(model='ViT-L-14-336', pretrained='openai')
width, text_dims = 1024, 768
# The released code scales the first eleven of the 24 vision blocks and the last one, as if there were twelve, and all
# twelve text blocks. None scales all.
vision_blocks = (*range(11), -1)

# ---------------------------------------------------------------- model
model = dict(
    backbone=dict(out_indices=(7, 15), resolution=(336, 336), adapter=dict(blocks=vision_blocks), **clip),
    decode_head=dict(text_encoder=dict(**clip), text_dims=text_dims, in_channels=(width, width, text_dims)),
)
