# PE-Core (Bolya et al., 2025) without training. Its attention pooling is applied to each patch by itself.
_base_ = './clip_vit.py'
clip = dict(model='PE-Core-B-16', pretrained='meta')
text_dims = 1024
half = [127.5, 127.5, 127.5]
model = dict(
    data_preprocessor=dict(mean=half, std=half),
    backbone=dict(**clip),
    decode_head=dict(in_channels=text_dims, channels=text_dims, text_dims=text_dims, text_encoder=dict(**clip)),
)
