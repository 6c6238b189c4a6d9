# HyperCLIP with the ViT-B/16 of CLIP under DeepSpeed, which shards gradients and states of the optimizer (ZeRO-2). A
# batch of 4 over all processes:
#   bash tools/dist_train.sh configs/hyperclip/hyperclip_vitb16_384_deepspeed.py 4 \
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
strategy = dict(
    type='DeepSpeedStrategy',
    zero_optimization=dict(stage=2),
    bf16=dict(enabled=True),
    inputs_to_half=['inputs'],
    gradient_clipping={{_base_.optim_wrapper.clip_grad.max_norm}},
)
optim_wrapper = dict(
    _delete_=True,
    type='DeepSpeedOptimWrapper',
    optimizer={{_base_.optim_wrapper.optimizer}},
    paramwise_cfg={{_base_.optim_wrapper.paramwise_cfg}},
)
