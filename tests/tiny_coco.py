"""COCO-Stuff with six images, and the configs that train on it with small towers."""

import cv2
import numpy as np

SMALL = dict(dims=16, guidance_dims=8, fine_guidance_dims=(4, 2), decoder_dims=(16, 8), window=2)


def write(path, values):
    """Write an image, and its folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)


def save_coco(root):
    """Save six images laid out as COCO-Stuff is after MMSegmentation's preparation; return the folder."""
    random = np.random.default_rng(0)
    for number in range(6):
        for split in ('train2017', 'val2017'):
            write(root / 'images' / split / f'{number}.jpg', random.integers(0, 256, (60, 70, 3), np.uint8))
            labels = random.integers(0, 171, (60, 70), np.uint8)
            write(root / 'annotations' / split / f'{number}_labelTrainIds.png', labels)
    return root


def shrink_towers(cfg, folder, coco):
    """Make a config of HyperCLIP or CAT-Seg small, with the CLIP of a folder and two iterations on this data set."""
    clip, adapter = dict(model=f'local-dir:{folder}', pretrained=None), dict(block_size=16)
    cfg.model.backbone.update(out_indices=(0, 1), **clip)
    if 'adapter' in cfg.model.backbone:
        cfg.model.backbone.adapter.update(adapter)
        cfg.model.decode_head.text_encoder.adapter.update(adapter)
    if 'blocks' in cfg.model.backbone.get('adapter', {}):
        cfg.model.backbone.adapter.blocks = (0, -1)
    if 'resolution' in cfg.model.backbone:
        cfg.model.backbone.resolution = (32, 32)
    head = cfg.model.decode_head
    head.text_encoder.update(clip)
    head.update(text_dims=32, in_channels=(64, 64, 32))
    head.aggregation.update(SMALL)
    cfg.model.data_preprocessor.size = (48, 48)
    cfg.model.test_cfg.update(resize=(80, 80), crop_size=(48, 48), stride=(32, 32), whole_view=(48, 48))
    for part in ('train', 'val', 'test'):
        loader = cfg[f'{part}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        for step in loader.dataset.pipeline:
            step.update({key: (80, 80) for key in ('scale',) if key in step})
            step.update({key: (48, 48) for key in ('crop_size',) if key in step})
            step.update({key: [48] for key in ('scales',) if key in step})
        if loader.dataset.type == 'COCOStuffDataset':
            loader.dataset.data_root = str(coco)
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.param_scheduler[0].update(T_max=2, end=2)
    cfg.default_hooks.checkpoint.interval = 2
    cfg.default_hooks.logger.interval = 1
    return cfg
