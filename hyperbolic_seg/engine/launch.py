"""Preparation of a config for a Runner: options, output folder, mixed precision, processes on CPUs."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed
from mmengine.config import Config, DictAction
from mmengine.device import is_cuda_available
from mmengine.runner import FlexibleRunner, Runner, find_latest_checkpoint

from hyperbolic_seg.engine.checkpoints import check_checkpoint
from hyperbolic_seg.engine.network import choose_interface
from hyperbolic_seg.engine.progress import ConciseFlexibleRunner, ConciseRunner
from hyperbolic_seg.engine.strategies import is_flexible, prepare_strategy

__all__ = [
    'build_runner',
    'enable_amp',
    'enable_tta',
    'finish_launch',
    'parse_cfg_options',
    'prepare_launch',
    'set_work_dir',
]


def parse_cfg_options(settings: Sequence[str] | None) -> dict[str, Any]:
    """Parse settings such as ``'model.type=EncoderDecoder'``, by the rules of MMEngine's ``DictAction``.

    The tools take these settings as strings, so that their command lines can be parsed before MMEngine is imported.

    Raises:
        ValueError: A setting has no ``=``, or its brackets do not match.
    """
    if wrong := [setting for setting in settings or () if '=' not in setting]:
        raise ValueError(f'--cfg-options {wrong[0]}: expected key=value, such as train_cfg.max_epochs=10')
    parsed = argparse.Namespace(options=None)
    try:
        DictAction(['--cfg-options'], 'options', nargs='+')(argparse.ArgumentParser(), parsed, list(settings or ()))
    except AssertionError as error:  # DictAction asserts that brackets match
        raise ValueError(f'--cfg-options: {error}') from error
    return cast(dict[str, Any], parsed.options)


def build_runner(cfg: Config, *, verbose: bool = False) -> Runner | FlexibleRunner:
    """Build the Runner of a config, or the FlexibleRunner that its ``runner_type`` asks for.

    Args:
        cfg: The config.
        verbose: Print the whole log. Else print the progress in a few lines; the log file is the same.
    """
    if is_flexible(cfg):
        return (FlexibleRunner if verbose else ConciseFlexibleRunner).from_cfg(cfg)
    return (Runner if verbose else ConciseRunner).from_cfg(cfg)


def set_work_dir(cfg: Config, given: str | None, config_file: str) -> None:
    """Set ``cfg.work_dir``: the given folder, else that of the config, else ``work_dirs/NAME_OF_CONFIG``."""
    if given is not None:
        cfg.work_dir = given
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(config_file).stem)


def enable_amp(cfg: Config) -> None:
    """Switch to automatic mixed precision: float16 with loss scaling on GPUs, bfloat16 on CPUs.

    Raises:
        ValueError: The optimizer wrapper of the config is not the plain ``OptimWrapper``.
    """
    if cfg.optim_wrapper.type in ('AmpOptimWrapper', 'CPUAmpOptimWrapper'):
        return
    if cfg.optim_wrapper.type != 'OptimWrapper':
        raise ValueError(f'--amp works with the type OptimWrapper, the config has {cfg.optim_wrapper.type!r}')
    if is_cuda_available():
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    else:
        cfg.optim_wrapper.type = 'CPUAmpOptimWrapper'


def enable_tta(cfg: Config) -> None:
    """Test with augmentation, by ``tta_model`` and ``tta_pipeline`` of the config.

    Without ``tta_pipeline`` the views are each image of the test pipeline and its mirror image.

    Raises:
        ValueError: There is no ``tta_model``, or it is for other segmentors, or the test pipeline has no step that
            loads annotations.
    """
    if 'tta_model' not in cfg:
        raise ValueError("--tta needs a tta_model, such as tta_model=dict(type='HyperCLIPTTAModel') in the config")
    if cfg.model.type == 'HyperCLIPSegmentor' and cfg.tta_model.type == 'SegTTAModel':
        raise ValueError(
            "tta_model.type='SegTTAModel' knows neither confidence nor radius nor vocabularies above class_chunk of a "
            "HyperCLIPSegmentor: set tta_model=dict(type='HyperCLIPTTAModel')"
        )
    dataset = cfg.test_dataloader.dataset
    dataset.pipeline = cfg.get('tta_pipeline') or _mirrored(dataset.pipeline)
    cfg.tta_model.module = cfg.model
    if 'data_preprocessor' in cfg.model:  # else MMEngine puts that of the whole config in its place
        cfg.tta_model.data_preprocessor = cfg.model.data_preprocessor
    cfg.model = cfg.tta_model


def _mirrored(pipeline: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a pipeline of two views; labels are loaded after the flip, so they stay as they are."""
    places = [place for place, step in enumerate(pipeline) if 'Annotations' in step['type']]
    if not places:
        raise ValueError(
            f'--tta flips images before annotations are loaded, and none are in {[step["type"] for step in pipeline]}: '
            'set tta_pipeline in the config'
        )
    flips = [dict(type='RandomFlip', prob=probability, direction='horizontal') for probability in (0.0, 1.0)]
    after = [[step] for step in pipeline[places[0] :]]
    return [*pipeline[: places[0]], dict(type='TestTimeAug', transforms=[flips, *after])]


def prepare_launch(cfg: Config, launcher: str) -> None:
    """Check the checkpoints that will be loaded and set the launcher; without GPUs, join the processes by gloo.

    MMEngine itself assumes a GPU when it starts a process group and when it wraps a model.

    Args:
        cfg: The config, changed in place.
        launcher: ``'none'``, ``'pytorch'`` (torchrun), ``'slurm'`` or ``'mpi'``.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ImportError: The strategy of the config needs DeepSpeed, which is not installed.
        ValueError: A checkpoint holds more than weights, this launcher cannot join processes on CPUs, several
            machines have no common network at ``MASTER_ADDR``, or the strategy of the config does not fit the rest.
    """
    prepare_strategy(cfg, launcher)
    latest = find_latest_checkpoint(cfg.work_dir) if cfg.get('resume') else None
    if wanted := latest or cfg.get('load_from'):
        check_checkpoint(wanted)
    cfg.launcher = launcher
    if launcher == 'none' or is_cuda_available():
        return
    machines = int(os.environ.get('GROUP_WORLD_SIZE', 1))  # torchrun's, whose groups are machines
    if launcher == 'slurm':
        _environment_from_slurm()
        machines = int(os.environ.get('SLURM_STEP_NUM_NODES', os.environ.get('SLURM_NNODES', 1)))
    elif launcher != 'pytorch':
        raise ValueError(f'without GPUs the launchers are "none", "pytorch" and "slurm", got {launcher!r}')
    if not torch.distributed.is_initialized():
        choose_interface(machines)
        torch.distributed.init_process_group('gloo')
    if not is_flexible(cfg):
        cfg.setdefault(
            'model_wrapper_cfg', dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
        )


def _environment_from_slurm() -> None:
    os.environ['RANK'] = os.environ['SLURM_PROCID']
    os.environ['LOCAL_RANK'] = os.environ['SLURM_LOCALID']
    os.environ['WORLD_SIZE'] = os.environ['SLURM_NTASKS']
    os.environ.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' not in os.environ:
        raise ValueError('MASTER_ADDR is not set; tools/slurm_train.sh sets it to the first host of the job')


def finish_launch() -> None:
    """Leave the process group; its threads may abort a process that exits without leaving."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
