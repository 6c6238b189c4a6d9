# EVA02-CLIP (Sun et al., 2023) without training; images are normalized as for CLIP.
_base_ = './clip_vit.py'
clip = dict(model='EVA02-B-16', pretrained='merged2b_s8b_b131k')
model = dict(backbone=dict(**clip), decode_head=dict(text_encoder=dict(**clip)))
