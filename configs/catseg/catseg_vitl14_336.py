# CAT-Seg with the ViT-L/14 of CLIP; windows of 384 pixels are resized to its training size of 336.
_base_ = './catseg_vitb16_384.py'

# ---------------------------------------------------------------- knobs
clip = dict(model='ViT-L-14-336', pretrained='openai')
width, text_dims = 1024, 768

# ---------------------------------------------------------------- model
model = dict(
    backbone=dict(out_indices=(7, 15), resolution=(336, 336), **clip),
    decode_head=dict(text_encoder=dict(**clip), text_dims=text_dims, in_channels=(width, width, text_dims)),
)
