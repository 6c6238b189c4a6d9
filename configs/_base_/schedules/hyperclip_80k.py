# 80,000 steps of AdamW with cosine annealing to 0; the towers of CLIP have a small share of the learning rate.
iterations = 80_000
tower = dict(lr_mult=0.075)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.01),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={'backbone': tower, 'decode_head.text.tower': tower, 'curvature': dict(decay_mult=0.0)},
    ),
)
param_scheduler = [dict(type='CosineAnnealingLR', T_max=iterations, begin=0, end=iterations, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=5000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=5000, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='PanelVisualizationHook', draw=False),
)
