# CAT-Seg with the ViT-B/16 of CLIP, trained on COCO-Stuff to segment unseen classes. A batch of 4 over all processes:
#   bash tools/dist_train.sh configs/catseg/catseg_vitb16_384.py 4 --cfg-options train_dataloader.batch_size=1
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/catseg_vit.py',
    '../_base_/datasets/coco_stuff164k.py',
    '../_base_/schedules/hyperclip_80k.py',
]
log_processor = dict(by_epoch=False)

# ---------------------------------------------------------------- schedule
tower = dict(lr_mult=0.01)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': tower, 'decode_head.text.tower': tower}))
