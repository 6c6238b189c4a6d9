# Full ADE20K with 847 classes by the model that was trained on COCO-Stuff.
_base_ = ['./catseg_vitb16_384.py', '../_base_/datasets/open_vocabulary.py']
model = dict(
    data_preprocessor=dict(seg_pad_val={{_base_.many_classes_ignore}}),
    decode_head=dict(vocabulary='ade20k_full'),
)
test_dataloader = dict(dataset={{_base_.ade847}})
# Some classes occur in no label of these images; published figures leave them out.
test_evaluator = dict(type='VocabularyIoUMetric', average_over='labels', ignore_index={{_base_.many_classes_ignore}})
