# HyperCLIP with the ViT-B/16 of CLIP, whose towers are sharded block by block (FSDP). A batch of 4 over all processes:
#   bash tools/dist_train.sh configs/hyperclip/hyperclip_vitb16_384_fsdp.py 4 \
#       --cfg-options train_dataloader.batch_size=1
_base_ = './hyperclip_vitb16_384.py'

# ---------------------------------------------------------------- memory
with_cp = True  # recomputes activations in the backward pass
model = dict(
    backbone=dict(with_cp=with_cp),
    decode_head=dict(text_encoder=dict(with_cp=with_cp), aggregation=dict(with_cp=with_cp)),
)

# ---------------------------------------------------------------- strategy
runner_type = 'FlexibleRunner'
strategy = dict(type='TowerFSDPStrategy', state_dict_cfg='full')  # checkpoints as without FSDP
optim_wrapper = dict(type='FSDPOptimWrapper', dtype='bfloat16')
