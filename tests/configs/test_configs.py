"""Every config: it builds, trains, validates, saves, resumes to the same state and predicts."""

import json
import shutil
import warnings

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from hyperbolic_seg.apis import HyperSegInferencer, list_models
from tests.shrink import set_epochs, shrink

NAMES = [
    'unet_cloud',
    'hyperclip_unet_cloud',
    'hyperclip_unet_cloud_online',
    'unet_cloud_swimseg',
    'hyperclip_unet_cloud_swimseg',
    'hyperbolic_unet_cloud',
    'hyperbolic_unet_cloud_swimseg',
    'released/hyperclip_unet_cloud',
    'released/hyperclip_unet_sky',
]
# Iterations over six images a set, where they are not 3: a config may have several sets and repeat the small ones.
ITERATIONS = {'released/hyperclip_unet_cloud': 42, 'released/hyperclip_unet_sky': 9}


def run(cfg, name):
    cfg = cfg.copy()
    cfg.experiment_name = cfg.visualizer.name = name  # MMEngine keeps both in a global table
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        runner = Runner.from_cfg(cfg)
        runner.train()
    return runner


def test_every_config_is_tested(repository):
    configs = repository / 'configs'
    paths = [*configs.glob('*.py'), *(configs / 'released').glob('*.py')]
    assert sorted(path.relative_to(configs).with_suffix('').as_posix() for path in paths) == sorted(NAMES)


def test_every_released_model_has_the_config_of_its_name(repository):
    trained = {path.stem.replace('_', '-') for path in (repository / 'configs/released').glob('*.py')}
    assert trained == set(list_models())


@pytest.mark.parametrize('name', NAMES)
def test_train_validate_save_and_predict(name, repository, tiny_sky, tmp_path):
    cfg = shrink(Config.fromfile(repository / 'configs' / f'{name}.py'), tiny_sky, tmp_path)
    runner = run(cfg, f'{name}-train')
    assert runner.iter == ITERATIONS.get(name, 3)
    metrics = [json.loads(line) for line in next(tmp_path.rglob('scalars.json')).read_text().splitlines()]
    trained, validated = metrics[0], metrics[-1]
    assert np.isfinite(trained['loss'])
    depths = name == 'released/hyperclip_unet_cloud'  # CloudCoverMetric has a mIoU for each depth of the taxonomy
    assert 0 <= validated['mIoU/1' if depths else 'mIoU'] <= 100
    assert depths or any(key.startswith('IoU/') for key in validated)
    assert list(tmp_path.rglob('vis_image/val_*.png'))
    inferencer = HyperSegInferencer(cfg, tmp_path / 'epoch_1.pth', device='cpu')
    image = np.full((40, 50, 3), 128, np.uint8)
    words = ['a red balloon', 'clear sky', 'altocumulus'] if 'hyperclip' in name else None
    prediction = inferencer(image, prompts=words)['predictions'][0]
    assert prediction['labels'].shape == prediction['confidence'].shape == (40, 50)
    assert prediction['classes'] == (words or list(runner.val_dataloader.dataset.metainfo['classes']))
    if words:
        assert {'decode.radius_text', 'decode.radius_pixel', 'decode.curvature'} <= set(trained)
        assert prediction['radius'].shape == (40, 50)


@pytest.mark.nightly
def test_sky_against_not_sky_trains_beside_the_other_sets(repository, tiny_sky, tmp_path):
    """Masks of a set of its own, whose labels leave clear sky and cloud open, through the knob of the config."""
    root = tmp_path / 'outdoors'
    shutil.copytree(tiny_sky, root)
    for file in (root / 'masks').iterdir():
        assert cv2.imwrite(str(file), np.repeat(np.uint8([[125], [22]]), 24, 0).repeat(48, 1))
    text = (repository / 'configs' / 'released' / 'hyperclip_unet_cloud.py').read_text(encoding='utf-8')
    text = text.replace("'../hyperclip_unet_cloud.py'", repr(str(repository / 'configs' / 'hyperclip_unet_cloud.py')))
    knob = f"sky_against_not_sky = [dict(data_root={str(root)!r}, img_suffix='.png')]"
    (tmp_path / 'own.py').write_text(text.replace('sky_against_not_sky = []', knob), encoding='utf-8')
    cfg = shrink(Config.fromfile(tmp_path / 'own.py'), tiny_sky, tmp_path / 'work')
    assert len(cfg.train_dataloader.dataset.datasets) == 13
    cfg.train_dataloader.dataset.datasets = cfg.train_dataloader.dataset.datasets[-2:]  # the procedural sky, and it
    cfg.train_dataloader.dataset.datasets[-1].data_root = str(root)
    cfg.val_dataloader.dataset.datasets[-1].data_root = str(root)
    runner = run(cfg, 'outdoors')
    assert runner.iter == 6
    metrics = [json.loads(line) for line in next(tmp_path.rglob('scalars.json')).read_text().splitlines()]
    assert all(np.isfinite(row['loss']) for row in metrics if 'loss' in row)
    assert 0 <= metrics[-1]['mIoU/clear sky or cloud or sun or moon'] <= 100


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(repository, tiny_sky, tmp_path):
    """By epochs, with schedules; tests/models/test_running.py resumes every head by iterations."""
    cfg = Config.fromfile(repository / 'configs' / 'hyperclip_unet_cloud.py')
    cfg = shrink(cfg, tiny_sky, tmp_path / 'whole')
    cfg.model.decode_head.update(dropout_ratio=0.0, phrase_augmentation=None)
    cfg.train_dataloader.dataset.pipeline = cfg.val_dataloader.dataset.pipeline  # nothing random
    cfg.train_dataloader.batch_size = 1
    set_epochs(cfg, 2)
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    run(cfg, 'whole')
    interrupted = cfg.copy()
    interrupted.work_dir = str(tmp_path / 'resumed')
    interrupted.resume = True
    interrupted.load_from = str(tmp_path / 'whole' / 'epoch_1.pth')
    runner = run(interrupted, 'resumed')
    assert runner.epoch == 2
    states = [torch.load(tmp_path / folder / 'epoch_2.pth', weights_only=False) for folder in ('whole', 'resumed')]
    for key, value in states[0]['state_dict'].items():
        torch.testing.assert_close(states[1]['state_dict'][key], value, rtol=1e-5, atol=1e-6)
    assert states[0]['meta']['iter'] == states[1]['meta']['iter'] == 12
