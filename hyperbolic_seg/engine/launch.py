"""What the tools do to a config before a Runner takes it: output folder, mixed precision, processes on CPUs."""

import os
from pathlib import Path

import torch
import torch.distributed
from mmengine.config import Config
from mmengine.device import is_cuda_available
from mmengine.runner import find_latest_checkpoint

from hyperbolic_seg.engine.checkpoints import check_checkpoint


def set_work_dir(cfg: Config, given: str | None, config_file: str) -> None:
    """Set ``cfg.work_dir``: as given, else as the config says, else ``work_dirs/NAME_OF_CONFIG``."""
    if given is not None:
        cfg.work_dir = given
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(config_file).stem)


def enable_amp(cfg: Config) -> None:
    """Switch to automatic mixed precision: float16 with loss scaling on GPUs, bfloat16 on CPUs.

    Raises:
        ValueError: The optimiser wrapper of the config is not the plain ``OptimWrapper``.
    """
    if cfg.optim_wrapper.type in ('AmpOptimWrapper', 'CPUAmpOptimWrapper'):
        return
    if cfg.optim_wrapper.type != 'OptimWrapper':
        raise ValueError(f'--amp works with the type OptimWrapper, the config has {cfg.optim_wrapper.type!r}')
    if is_cuda_available():
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    else:
        cfg.optim_wrapper.type = 'CPUAmpOptimWrapper'


def prepare_launch(cfg: Config, launcher: str) -> None:
    """Look at the checkpoints that will be loaded, set the launcher; without GPUs, join the processes by gloo.

    MMEngine itself takes a GPU for granted when it starts a process group and when it wraps a model.

    Args:
        cfg: The config, changed in place.
        launcher: ``'none'``, ``'pytorch'`` (torchrun), ``'slurm'`` or ``'mpi'``.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: A checkpoint holds more than weights, or CPUs cannot be joined by this launcher.
    """
    latest = find_latest_checkpoint(cfg.work_dir) if cfg.get('resume') else None
    if wanted := latest or cfg.get('load_from'):
        check_checkpoint(wanted)
    cfg.launcher = launcher
    if launcher == 'none' or is_cuda_available():
        return
    if launcher == 'slurm':
        _environment_from_slurm()
    elif launcher != 'pytorch':
        raise ValueError(f'without GPUs the launchers are "none", "pytorch" and "slurm", got {launcher!r}')
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
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
    """Leave the group of processes; threads of one that is left to the exit of a process may abort it."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
