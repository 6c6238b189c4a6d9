# SigLIP 2 (Tschannen et al., 2025) without training. Its attention pooling is applied to each patch by itself. The
# tokenizer of the text comes from the hub of Hugging Face.
_base_ = './clip_vit.py'
clip = dict(model='ViT-B-16-SigLIP2', pretrained='webli')
text_dims = 768
half = [127.5, 127.5, 127.5]
model = dict(
    data_preprocessor=dict(mean=half, std=half),
    backbone=dict(**clip),
    decode_head=dict(in_channels=text_dims, channels=text_dims, text_dims=text_dims, text_encoder=dict(**clip)),
)
