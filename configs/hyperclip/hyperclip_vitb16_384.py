# HyperCLIP with CLIP's ViT-B/16, trained on COCO-Stuff to name what it has never seen:
#   bash tools/dist_train.sh configs/hyperclip/hyperclip_vitb16_384.py 4 --amp \
#       --cfg-options train_dataloader.batch_size=1
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/hyperclip_vit.py',
    '../_base_/datasets/coco_stuff164k.py',
    '../_base_/schedules/hyperclip_80k.py',
]
log_processor = dict(by_epoch=False)
