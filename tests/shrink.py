"""Our configs, small enough for tests."""

from pathlib import Path

from mmengine.config import Config


def shrink(cfg: Config, data_root: Path, work_dir: Path) -> Config:
    """Make any of our configs small: few channels, small pictures, three iterations an epoch, one epoch."""
    width, size = 4, (32, 32)
    cfg.model.backbone.base_channels = width
    head = cfg.model.decode_head.get('head', cfg.model.decode_head)  # of a HyperbolicHead, what it wraps
    head.update(in_channels=width, channels=width)
    for name in ('train', 'val', 'test'):
        loader = cfg[f'{name}_dataloader']
        loader.update(num_workers=0, persistent_workers=False, batch_size=2 if name == 'train' else 1)
        if loader.dataset.type == 'GroundCloudDataset':
            loader.dataset.update(data_root=str(data_root), img_suffix='.png', vocabulary='sky')
        else:
            loader.dataset.update(num_images=6 if name == 'train' else 2, image_size=48)
        for step in loader.dataset.pipeline:
            if 'scale' in step:
                step.scale = size
            if 'crop_size' in step:
                step.crop_size = size
    cfg.work_dir = str(work_dir)
    cfg.default_hooks.logger.interval = 1
    set_epochs(cfg, 1)
    return cfg


def set_epochs(cfg: Config, epochs: int) -> None:
    cfg.train_cfg.max_epochs = epochs
    for scheduler in cfg.param_scheduler:
        if scheduler.by_epoch:
            scheduler.update(T_max=epochs, end=epochs)
