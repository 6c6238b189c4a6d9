# CLIP without training as the released code of SCLIP, ClearCLIP, NACLIP and ProxyCLIP tests it: every name is a query,
# images are not padded, and windows slide over them.
_base_ = './clip_vit.py'
model = dict(
    data_preprocessor=dict(size_divisor=None, test_cfg=None),
    backbone=dict(positions='scale'),
    decode_head=dict(queries='phrase', text_encoder=dict(templates='imagenet'), temperature=1 / 40),
    test_cfg=dict(mode='slide', crop_size=(224, 224), stride=(112, 112)),
)
# Nothing is trained and nothing validated.
train_cfg = val_cfg = optim_wrapper = None
test_cfg = dict(type='TestLoop')
