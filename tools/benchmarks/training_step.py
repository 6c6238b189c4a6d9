"""Measure time and memory of training steps of a config, at full size, on random images and labels.

python tools/benchmarks/training_step.py configs/hyperclip/hyperclip_vitb16_384.py --batch-size 4

Nothing is downloaded: the towers keep random weights, which take the same time and memory. Steps are those of the
config's optimizer, with its clipping of gradients. The first steps are not counted. Memory is the peak of what PyTorch
allocates on a GPU, and on a CPU the peak of the process.
"""

import argparse
import resource
import statistics
import sys
import time

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


def main() -> int:
    """Run the benchmark; return the exit code."""
    args = parse_args()
    torch.manual_seed(args.seed)
    MMLogger.get_current_instance().setLevel('WARNING')  # no line for each parameter
    cfg, device = Config.fromfile(args.config), torch.device(args.device)
    cfg.merge_from_dict(parse_cfg_options(args.cfg_options))
    size = args.size or cfg.model.data_preprocessor.get('size', [None])[0]
    if size is None:
        raise SystemExit(f'{args.config} has no data_preprocessor.size: give --size')
    if args.checkpointing:
        recompute(cfg.model)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model).to(device).train()
        wrapper = dict(cfg.optim_wrapper)
        if args.amp:
            wrapper.update(amp_wrapper(args.amp, device))
        optimizer = build_optim_wrapper(model, wrapper)
    if args.compile:
        model.forward = torch.compile(model.forward, backend=args.compile_backend)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(f'{sum(p.numel() for p in model.parameters()):,} parameters, of which {trained:,} train')
    batch = random_batch(model.num_classes, args.batch_size, size)
    seconds = []
    for step in range(args.warm_up + args.steps):
        if device.type == 'cuda':
            torch.cuda.synchronize()
            if step == args.warm_up:
                torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        model.train_step(batch, optimizer)
        if device.type == 'cuda':
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    timed = seconds[args.warm_up :]
    if device.type == 'cuda':
        memory, where = torch.cuda.max_memory_allocated() / 2**30, torch.cuda.get_device_name()
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        where = f'{torch.get_num_threads()} CPU threads'
    how = [args.amp or 'float32', *['checkpointing'] * args.checkpointing, *['compiled'] * args.compile]
    print(
        f'{args.config}, {args.batch_size} images of {size} x {size}, {", ".join(how)}, {where}, torch '
        f'{torch.__version__}: {statistics.median(timed):.3f} s a step ({min(timed):.3f} to {max(timed):.3f} of '
        f'{len(timed)}), {args.batch_size / statistics.median(timed):.1f} images a second, {memory:.2f} GiB'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
