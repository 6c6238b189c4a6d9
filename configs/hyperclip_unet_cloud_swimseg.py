# HyperCLIP on SWIMSEG: clear sky and cloud, by day, from
#   python tools/dataset_converters/swimseg.py SOURCE data/swimseg
_base_ = './hyperclip_unet_cloud.py'

# ---------------------------------------------------------------- knobs
vocabulary = 'binary'
data_root = 'data/swimseg'
img_suffix = '.png'

# ---------------------------------------------------------------- structure
model = dict(decode_head=dict(vocabulary=vocabulary))
_dataset = dict(
    data_root=data_root, img_suffix=img_suffix, vocabulary=vocabulary, metainfo=dict(classes=vocabulary)
)
train_dataloader = dict(dataset=_dataset)
val_dataloader = dict(dataset=_dataset)
test_dataloader = val_dataloader
