# AdamW with gradient clipping; validation and a checkpoint every epoch.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={  # scalars of the hyperbolic head
            'log_scale': dict(decay_mult=0.0),
            'curvature': dict(decay_mult=0.0),
            'decode_head.offset': dict(decay_mult=0.0),
        },
    ),
)
train_cfg = dict(type='EpochBasedTrainLoop', val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=True, interval=1, max_keep_ckpts=1, save_best='mIoU'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='PanelVisualizationHook', draw=True, interval=20),
)
custom_hooks = [dict(type='MemoryFormatHook')]
