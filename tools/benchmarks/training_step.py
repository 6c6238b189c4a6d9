"""Measure time and memory of training steps of a config, at full size, on random images and labels.

python tools/benchmarks/training_step.py configs/hyperclip/hyperclip_vitb16_384.py --batch-size 4
python tools/benchmarks/training_step.py configs/hyperclip_unet_cloud.py --batch-size 16 --size 192 --beside-fcn 1

Nothing is downloaded: the towers keep random weights, which take the same time and memory. Steps are those of the
config's optimizer, with its clipping of gradients. The first steps are not counted. Memory is the peak of what PyTorch
allocates on a GPU, and on a CPU the peak of the process.
"""

import argparse
import resource
import statistics
import sys
import time

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import hyperbolic_seg.plugin  # noqa: F401
from hyperbolic_seg.engine import parse_cfg_options


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--size', type=int, help='side of the images, by default that of data_preprocessor.size')
    parser.add_argument('--steps', type=int, default=10, help='steps that are timed')
    parser.add_argument('--warm-up', type=int, default=3, help='steps before them')
    parser.add_argument('--amp', choices=('float16', 'bfloat16'), help='train in mixed precision')
    parser.add_argument('--checkpointing', action='store_true', help='recompute activations of towers and aggregation')
    parser.add_argument('--compile', action='store_true', help='compile the model with torch.compile, as MMEngine does')
    parser.add_argument('--compile-backend', default='inductor', help='of torch.compile; eager is quick, for a trial')
    parser.add_argument(
        '--beside-fcn',
        type=int,
        metavar='CONVOLUTIONS',
        help="also time the same backbone with MMSegmentation's FCN head, in turn; its U-Nets have 1 convolution",
    )
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='settings that override the config')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    if args.steps < 1 or args.warm_up < 0:
        parser.error(f'expected at least one of --steps and no negative --warm-up, got {args.steps} and {args.warm_up}')
    return args


def random_batch(classes: int, batch: int, size: int) -> dict[str, list]:
    """Return images and labels as a data loader collates them, 5 % of the pixels ignored."""
    inputs = [torch.randint(0, 256, (3, size, size), dtype=torch.uint8) for _ in range(batch)]
    samples = []
    for _ in range(batch):
        labels = (
            torch.randint(0, classes, (1, size // 16, size // 16)).repeat_interleave(16, 1).repeat_interleave(16, 2)
        )
        labels = labels.masked_fill(torch.rand(labels.shape) < 0.05, 255)
        meta = dict(ori_shape=(size, size), img_shape=(size, size))
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=meta))
    return dict(inputs=inputs, data_samples=samples)


def amp_wrapper(dtype: str, device: torch.device) -> dict[str, str]:
    """Return the options of an optimizer wrapper in mixed precision.

    Raises:
        SystemExit: CPUs have no float16.
    """
    if device.type != 'cpu':
        return dict(type='AmpOptimWrapper', dtype=dtype)
    if dtype != 'bfloat16':
        raise SystemExit(f'--amp {dtype} is for a GPU; on a CPU: --amp bfloat16')
    return dict(type='CPUAmpOptimWrapper')


def recompute(model: ConfigDict) -> None:
    """Make the towers and the aggregation of a HyperCLIP exchange memory for time.

    Raises:
        SystemExit: The config has no such parts.
    """
    head = model.decode_head
    if 'aggregation' not in head:
        raise SystemExit(f'--checkpointing is for configs with towers and an aggregation, this head is a {head.type}')
    for part in (model.backbone, head.text_encoder, head.aggregation):
        part.with_cp = True


def with_fcn_head(model: ConfigDict, classes: int, convolutions: int) -> ConfigDict:
    """Return the config of the same backbone with MMSegmentation's FCN head.

    Args:
        model: Config of a model with a head on one feature map.
        classes: Number of classes.
        convolutions: Number of 3 x 3 convolutions before the classifier; 1 in MMSegmentation's configs of U-Nets.
    """
    head = model.decode_head
    plain = dict(
        type='FCNHead',
        in_channels=head.in_channels,
        in_index=head.get('in_index', -1),
        channels=head.in_channels,
        num_convs=convolutions,
        concat_input=False,
        num_classes=classes,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=head.get('align_corners', False),
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    )
    kept = {name: model[name] for name in ('data_preprocessor', 'backbone')}
    return ConfigDict(type='EncoderDecoder', decode_head=plain, test_cfg=dict(mode='whole'), **kept)


class Step:
    """A training step of a model on one batch.

    Args:
        model: Config of the model.
        cfg: The whole config, whose optimizer it takes.
        args: The command line.
    """

    def __init__(self, model: ConfigDict, cfg: Config, args: argparse.Namespace) -> None:
        self.device = torch.device(args.device)
        with DefaultScope.overwrite_default_scope('mmseg'):
            self.model = MODELS.build(model).to(self.device).train()
            wrapper = dict(cfg.optim_wrapper)
            if args.amp:
                wrapper.update(amp_wrapper(args.amp, self.device))
            self.optimizer = build_optim_wrapper(self.model, wrapper)
        if args.compile:
            self.model.forward = torch.compile(self.model.forward, backend=args.compile_backend)

    def seconds(self, batch: dict[str, list]) -> float:
        """Take a step and return what it took."""
        self._wait()
        start = time.perf_counter()
        self.model.train_step(batch, self.optimizer)
        self._wait()
        return time.perf_counter() - start

    def _wait(self) -> None:
        if self.device.type == 'cuda':
            torch.cuda.synchronize()


def spread(values: list[float]) -> str:
    """Return the median and the quartiles."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f'{middle:.3f} ({low:.3f} to {high:.3f})'


def main() -> int:
    """Run the benchmark; return the exit code."""
    args = parse_args()
    torch.manual_seed(args.seed)
    MMLogger.get_current_instance().setLevel('WARNING')  # no line for each parameter
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(parse_cfg_options(args.cfg_options))
    size = args.size or cfg.model.data_preprocessor.get('size', [None])[0]
    if size is None:
        raise SystemExit(f'{args.config} has no data_preprocessor.size: give --size')
    if args.checkpointing:
        recompute(cfg.model)
    first = Step(cfg.model, cfg, args)
    steps = [first]
    if args.beside_fcn is not None:
        steps.append(Step(with_fcn_head(cfg.model, first.model.num_classes, args.beside_fcn), cfg, args))
    for step in steps:
        trained = sum(p.numel() for p in step.model.parameters() if p.requires_grad)
        print(f'{sum(p.numel() for p in step.model.parameters()):,} parameters, of which {trained:,} train')
    batch = random_batch(first.model.num_classes, args.batch_size, size)
    for _ in range(args.warm_up):
        [step.seconds(batch) for step in steps]
    if first.device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    timed = list(zip(*([step.seconds(batch) for step in steps] for _ in range(args.steps)), strict=True))
    if first.device.type == 'cuda':
        memory, where = torch.cuda.max_memory_allocated() / 2**30, torch.cuda.get_device_name()
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        where = f'{torch.get_num_threads()} CPU threads'
    how = [args.amp or 'float32', *['checkpointing'] * args.checkpointing, *['compiled'] * args.compile]
    print(
        f'{args.config}, {args.batch_size} images of {size} x {size}, {", ".join(how)}, {where}, torch '
        f'{torch.__version__}: {statistics.median(timed[0]):.3f} s a step ({min(timed[0]):.3f} to {max(timed[0]):.3f} '
        f'of {len(timed[0])}), {args.batch_size / statistics.median(timed[0]):.1f} images a second, {memory:.2f} GiB'
    )
    if args.beside_fcn is not None:
        ratios = [ours / theirs for ours, theirs in zip(*timed, strict=True)]
        print(f'with an FCN head of {args.beside_fcn} convolutions, in turn: {spread(timed[1])} s a step')
        print(f'ratio: {spread(ratios)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
