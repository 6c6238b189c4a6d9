"""Train a model.

python tools/train.py configs/hyperclip_unet_cloud.py
"""

import argparse
import os


def parse_args(arguments: list[str] | None = None, *, prog: str | None = None) -> argparse.Namespace:
    """Parse the command line. The options are those of MMSegmentation, and --verbose.

    Args:
        arguments: Default: those of the process.
        prog: Name of the command in its help. Default: the name of this script.
    """
    parser = argparse.ArgumentParser(prog=prog, description='Train a model')
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints; default work_dirs/NAME_OF_CONFIG')
    parser.add_argument('--resume', action='store_true', help='resume from the latest checkpoint in the work dir')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        metavar='KEY=VALUE',
        help='settings that override the config, as key.subkey=value; lists as key="[a,b]"',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers')
    parser.add_argument('--verbose', action='store_true', help='print the whole log, which is in the work dir anyway')
    args = parser.parse_args(arguments)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main(args: argparse.Namespace) -> None:
    """Build the Runner and train."""
    # Imported here, because these modules import torch, which takes seconds: --help and a wrong option need none of it.
    from mmengine.config import Config

    from hyperbolic_seg.engine import (
        build_runner,
        enable_amp,
        finish_launch,
        parse_cfg_options,
        prepare_launch,
        set_work_dir,
    )

    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(parse_cfg_options(args.cfg_options))
    set_work_dir(cfg, args.work_dir, args.config)
    if args.amp:
        enable_amp(cfg)
    cfg.resume = cfg.get('resume', False) or args.resume
    prepare_launch(cfg, args.launcher)
    build_runner(cfg, verbose=args.verbose).train()
    finish_launch()


if __name__ == '__main__':
    main(parse_args())
