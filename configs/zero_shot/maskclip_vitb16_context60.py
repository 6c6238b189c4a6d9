# MaskCLIP on Pascal Context, 59 classes and background: no published mIoU known, not run here.
#   python tools/test.py configs/zero_shot/maskclip_vitb16_context60.py none
# No background was published; names and threshold are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_maskclip.py',
    '../_base_/datasets/zero_shot/context60.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(vocabulary='pascal_context60'),
    test_cfg=dict(background=dict(name='background', below=0.1)),
)
test_dataloader = dict(dataset=dict(pipeline={{_base_.pipeline_448}}))
