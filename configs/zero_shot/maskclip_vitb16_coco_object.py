# MaskCLIP on COCO-Object: not run here.
#   python tools/test.py configs/zero_shot/maskclip_vitb16_coco_object.py none
# No background was published; names and threshold are those of SCLIP.
_base_ = [
    '../_base_/models/zero_shot_maskclip.py',
    '../_base_/datasets/zero_shot/coco_object.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(vocabulary='sclip_coco_object'),
    test_cfg=dict(background=dict(name='background', below=0.1)),
)
test_dataloader = dict(dataset=dict(pipeline={{_base_.pipeline_448}}))
