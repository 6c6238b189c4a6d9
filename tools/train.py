"""Train a model.

python tools/train.py configs/hyperclip_unet_cloud.py
"""

import argparse
import os

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from hyperbolic_seg.engine.launch import enable_amp, finish_launch, prepare_launch, set_work_dir


def parse_args() -> argparse.Namespace:
    """Read the command line; the options are MMSegmentation's."""
    parser = argparse.ArgumentParser(description='Train a segmentor')
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints; default work_dirs/NAME_OF_CONFIG')
    parser.add_argument('--resume', action='store_true', help='go on from the latest checkpoint in the work dir')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='settings that override the config, as key.subkey=value; lists as key="[a,b]"',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers')
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main() -> None:
    """Build the Runner and train."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    set_work_dir(cfg, args.work_dir, args.config)
    if args.amp:
        enable_amp(cfg)
    cfg.resume = cfg.get('resume', False) or args.resume
    prepare_launch(cfg, args.launcher)
    Runner.from_cfg(cfg).train()
    finish_launch()


if __name__ == '__main__':
    main()
