# Evaluation of the model trained on COCO-Stuff on the full ADE20K with 847 classes, written by
#   python tools/dataset_converters/ade20k_full.py data/ADE20K_2021_17_01 data/ade20k_full
_base_ = './hyperclip_vitb16_384_pc459.py'

# ---------------------------------------------------------------- knobs
data_root = 'data/ade20k_full'
vocabulary = 'ade20k_full'

# ---------------------------------------------------------------- model and data
model = dict(decode_head=dict(vocabulary=vocabulary))
test_dataloader = dict(dataset=dict(data_root=data_root, vocabulary=vocabulary, img_suffix='.png'))
