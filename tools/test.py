"""Evaluate a checkpoint.

python tools/test.py configs/hyperclip_unet_cloud.py CHECKPOINT
"""

import argparse
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args(arguments: list[str] | None = None, *, prog: str | None = None) -> argparse.Namespace:
    """Parse the command line. The options are those of MMSegmentation, --prompts and --verbose.

    Args:
        arguments: Default: those of the process.
        prog: Name of the command in its help. Default: the name of this script.
    """
    parser = argparse.ArgumentParser(prog=prog, description='Evaluate a model')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file, or "none" for a model that needs no training')
    parser.add_argument('--work-dir', help='folder for the log and the figures; default work_dirs/NAME_OF_CONFIG')
    parser.add_argument('--out', help='folder for the predicted label maps, PNG')
    parser.add_argument('--show', action='store_true', help='show the figures')
    parser.add_argument('--show-dir', help='folder for a figure of every image, in vis_data/vis_image below it')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds for which a figure is shown')
    parser.add_argument(
        '--prompts',
        nargs='+',
        help='predict by these prompts; each counts for the class of the data set of its name or of its ancestor',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        metavar='KEY=VALUE',
        help='settings that override the config, as key.subkey=value; lists as key="[a,b]"',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument(
        '--tta',
        action='store_true',
        help='average views by tta_model and tta_pipeline of the config; else the image and its mirror image',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers')
    parser.add_argument('--verbose', action='store_true', help='print the whole log, which is in the work dir anyway')
    args = parser.parse_args(arguments)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def configure(args: argparse.Namespace) -> 'Config':
    """Return the config with the options of the command line merged in."""
    from mmengine.config import Config

    from hyperbolic_seg.engine import enable_tta, parse_cfg_options, set_work_dir

    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(parse_cfg_options(args.cfg_options))
    set_work_dir(cfg, args.work_dir, args.config)
    cfg.load_from = None if args.checkpoint == 'none' else args.checkpoint
    if args.prompts:
        if 'vocabulary' not in cfg.model.decode_head:
            raise SystemExit(f'--prompts needs a head that classifies by text, {args.config} has fixed classes')
        cfg.model.decode_head.vocabulary = args.prompts
    if args.show or args.show_dir:
        cfg.default_hooks.visualization.update(draw=True, interval=1, show=args.show, wait_time=args.wait_time)
        if args.show_dir:
            cfg.visualizer.save_dir = args.show_dir
    if args.out:
        evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
        writers = [evaluator for evaluator in evaluators if evaluator.type in ('VocabularyIoUMetric', 'IoUMetric')]
        if not writers:
            raise SystemExit(f'--out needs a VocabularyIoUMetric, which writes label maps, among {evaluators}')
        writers[0].output_dir = args.out
    if args.tta:
        enable_tta(cfg)
    return cfg


def main(args: argparse.Namespace) -> None:
    """Build the Runner and evaluate."""
    # Imported here, because these modules import torch, which takes seconds: --help and a wrong option need none of it.
    from mmengine.model import is_model_wrapper

    from hyperbolic_seg.engine import build_runner, finish_launch, prepare_launch

    cfg = configure(args)
    prepare_launch(cfg, args.launcher)
    runner = build_runner(cfg, verbose=args.verbose)
    if cfg.load_from is None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.init_weights()
    runner.test()
    finish_launch()


if __name__ == '__main__':
    main(parse_args())
