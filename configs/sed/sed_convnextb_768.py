# SED with the ConvNeXt-B of CLIP, trained on COCO-Stuff to segment unseen classes. A batch of 4 over all processes:
#   bash tools/dist_train.sh configs/sed/sed_convnextb_768.py 4 --cfg-options train_dataloader.batch_size=1
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/sed_convnext.py',
    '../_base_/datasets/coco_stuff164k.py',
    '../_base_/schedules/hyperclip_80k.py',
]
log_processor = dict(by_epoch=False)

# ---------------------------------------------------------------- schedule
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.01)}))

# ---------------------------------------------------------------- data
side = 768
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomChoiceResize', scales=[side], resize_type='ResizeShortestEdge', max_size=2666),
    dict(type='RandomCrop', crop_size=(side, side)),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
