# MaskCLIP: the values of the last block of CLIP are compared with words. Nothing is trained:
#   python tools/test.py configs/zero_shot/maskclip_vitb16_sky.py none
_base_ = [
    '../_base_/models/clip_vit.py',
    '../_base_/datasets/sky.py',
    '../_base_/schedules/adamw.py',
    '../_base_/default_runtime.py',
    '../_base_/sky_templates.py',
]

# ---------------------------------------------------------------- knobs
taxonomy = 'sky'
vocabulary = 'leaves'
size = (448, 448)

# ---------------------------------------------------------------- model
model = dict(
    decode_head=dict(taxonomy=taxonomy, vocabulary=vocabulary, text_encoder=dict(templates={{_base_.sky_templates}}))
)

# ---------------------------------------------------------------- data
test_pipeline = [
    dict(type='LoadVerifiedImage'),
    dict(type='Resize', scale=size, keep_ratio=True, backend='pillow'),
    dict(type='LoadVocabularyAnnotations'),
    dict(type='PackSegInputs'),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='VocabularyIoUMetric', iou_metrics=['mIoU']),
    dict(type='CloudCoverMetric', taxonomy=taxonomy),
]
test_evaluator = val_evaluator
