"""Our configs, small enough for tests."""

from pathlib import Path

from mmengine.config import Config, ConfigDict


def shrink(cfg: Config, data_root: Path, work_dir: Path) -> Config:
    """Make any of our configs small: few channels, small images, three iterations an epoch, one epoch."""
    width, size = 4, (32, 32)
    if cfg.model.backbone.type == 'TimmUNet':
        size = (64, 64)  # the encoder halves it five times
        tiny = dict(encoder='test_efficientnet', weights=None, decoder_channels=(2,) * 4, context_channels=2)
        cfg.model.backbone.update(tiny)
    else:
        cfg.model.backbone.base_channels = width
    head = cfg.model.decode_head.get('head', cfg.model.decode_head)  # of a HyperbolicHead, what it wraps
    head.update(in_channels=width, channels=width)
    for name in ('train', 'val', 'test'):
        loader = cfg[f'{name}_dataloader']
        loader.update(num_workers=0, persistent_workers=False, batch_size=2 if name == 'train' else 1)
        for dataset in loader.dataset.get('datasets', []):
            if 'times' in dataset:
                dataset.times = min(dataset.times, 2)
        for dataset in _sets(loader.dataset):
            if dataset.type == 'GroundCloudDataset':
                dataset.update(data_root=str(data_root), img_suffix='.png', vocabulary='sky')
            else:
                dataset.update(num_images=6 if name == 'train' else 2, image_size=48)
            for step in dataset.pipeline:
                if 'scale' in step:
                    step.scale = size
                if 'donors' in step:
                    step.donors = [str(data_root)]
                if 'crop_size' in step:
                    step.crop_size = size
    for evaluators in (cfg.val_evaluator, cfg.test_evaluator):
        for evaluator in [evaluators] if isinstance(evaluators, dict) else evaluators:
            if evaluator.type in ('HierarchicalMetric', 'CloudCoverMetric'):
                evaluator.draws = 10
    cfg.work_dir = str(work_dir)
    cfg.default_hooks.logger.interval = 1
    set_epochs(cfg, 1)
    return cfg


def _sets(dataset: ConfigDict) -> list[ConfigDict]:
    """The data sets inside wrappers."""
    inner = [dataset.dataset] if 'dataset' in dataset else dataset.get('datasets', [])
    return [leaf for one in inner for leaf in _sets(one)] if inner else [dataset]


def set_epochs(cfg: Config, epochs: int) -> None:
    cfg.train_cfg.max_epochs = epochs
    for scheduler in cfg.param_scheduler:
        if scheduler.by_epoch:
            scheduler.update(T_max=epochs, end=epochs)
