r"""Train stock models of MMSegmentation with their own classifier and with hyperbolic ones, on one small budget.

    python tools/benchmarks/heads.py --work-dir work_dirs/heads
    python tools/benchmarks/heads.py --work-dir work_dirs/zoo --models all --width 128 --iterations 80 \
        --classifiers conv_seg HyperbolicMLR --optimizers AdamW --seeds 0

The models are the base configs of MMSegmentation with their own decode heads, at full width unless --width is given,
behind narrow and shallow backbones, so that a run takes seconds on a CPU. Auxiliary heads are left out. All variants of
a model start from the same seed and see the same images: colored shapes of five classes, drawn by this script, whose
colors vary. The classifiers have their default options, within HyperbolicHead. Figures of a run are the loss of the
first batch, over the logarithm of the number of classes, and the mIoU on images that were not trained on, after all
iterations. The time of a training step is that of the variant over that of the first classifier: medians of steps that
are taken in turn.

What is in results.jsonl is not measured again. The table has the mean and range over seeds, and the largest first loss.
"""

import argparse
import copy
import json
import math
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import mmseg
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules
from torch import Tensor, nn

import hyperbolic_seg.plugin  # noqa: F401
from hyperbolic_seg.evaluation import mean_iou

BASES = Path(mmseg.__file__).parent / '.mim' / 'configs' / '_base_' / 'models'
NUM_CLASSES, SIZE, BATCH = 5, 48, 8
COMPILED, NO_CONVOLUTION = 'needs compiled ops of mmcv', 'does not classify by a 1x1 convolution'
EXCLUDED = {
    'ccnet_r50-d8': COMPILED,
    'lraspp_m-v3-d8': 'averages windows of 49 x 49 features, more than these images have',
    'pointrend_r50': f'{COMPILED}; its second head {NO_CONVOLUTION}',
    'psanet_r50-d8': COMPILED,
    'san_vit-b16': f'{COMPILED}; its head {NO_CONVOLUTION}',
    'segmenter_vit-b16_mask': NO_CONVOLUTION,
    'vpd_sd': 'estimates depth, without a decode head',
}
"""Base configs that cannot have a hyperbolic classifier here, and why."""
TRAINABLE = sorted({file.stem for file in BASES.glob('*.py')} - EXCLUDED.keys())
MMPRETRAIN = {'fpn_poolformer_s12', 'upernet_convnext'}
DEFAULT_MODELS = (
    'fcn_r50-d8',
    'pspnet_r50-d8',
    'deeplabv3plus_r50-d8',
    'upernet_r50',
    'segformer_mit-b0',
    'bisenetv1_r18-d32',
)
CLASSIFIERS = ('conv_seg', 'HyperbolicMLR', 'HyperbolicPrototypes', 'EntailmentCones')
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    'SGD': lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=5e-4),
    'AdamW': lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01),
}

_RESNET = dict(depth=18, stem_channels=16, base_channels=16)
_VIT = dict(embed_dims=64, num_layers=4, num_heads=4, img_size=SIZE, out_indices=(0, 1, 2, 3))
_PYRAMID = [16, 32, 80, 128]
NARROW: dict[str, tuple[dict[str, Any], dict[int, int] | list[int]]] = {
    'ResNetV1c': (_RESNET, {256: 16, 512: 32, 1024: 64, 2048: 128}),
    'ICNet': (dict(backbone_cfg=_RESNET, layer_channels=(32, 128)), {}),
    'UNet': (dict(base_channels=16), {64: 16, 128: 32}),
    'HRNet': (
        dict(extra={f'stage{i}': dict(num_modules=1, num_blocks=(1,) * i) for i in range(1, 5)}),
        {},
    ),
    'VisionTransformer': (_VIT, {768: 64, 1024: 64}),
    'BEiT': (_VIT, {768: 64}),
    'MAE': (_VIT, {384: 64, 768: 64}),
    'SwinTransformer': (
        dict(embed_dims=32, depths=[2, 2, 2, 2], num_heads=[1, 2, 4, 8]),
        {96: 32, 192: 64, 384: 128, 768: 256},
    ),
    'PCPVT': (dict(embed_dims=_PYRAMID, depths=[1] * 4), dict(zip([64, 128, 320, 512], _PYRAMID, strict=True))),
    'mmpretrain.PoolFormer': (
        dict(
            arch=dict(
                _delete_=True, layers=[1] * 4, embed_dims=_PYRAMID, mlp_ratios=[4] * 4, layer_scale_init_value=1e-5
            )
        ),
        _PYRAMID,  # the config has other channels than the backbone
    ),
    'mmpretrain.ConvNeXt': (
        dict(arch=dict(_delete_=True, depths=[1] * 4, channels=[16, 32, 64, 128])),
        {128: 16, 256: 32, 384: 64, 512: 64, 1024: 128},
    ),
}
"""Options that make a backbone small, and what becomes of its channels; others stay as they are."""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', type=Path, required=True)
    parser.add_argument(
        '--models',
        nargs='+',
        choices=[*TRAINABLE, 'all'],
        default=DEFAULT_MODELS,
        metavar='BASE',
        help='names of base configs, or all; by default six',
    )
    parser.add_argument('--classifiers', nargs='+', choices=CLASSIFIERS, default=CLASSIFIERS)
    parser.add_argument('--optimizers', nargs='+', choices=OPTIMIZERS, default=list(OPTIMIZERS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--iterations', type=int, default=120)
    parser.add_argument('--width', type=int, help='most channels of a head; by default those of its config')
    parser.add_argument('--rounds', type=int, default=12, help='training steps of each variant that are timed')
    args = parser.parse_args()
    if 'all' in args.models:
        args.models = TRAINABLE
    if not MMPRETRAIN.isdisjoint(args.models) and find_spec('mmpretrain') is None:
        parser.error(f"{', '.join(sorted(MMPRETRAIN))} need mmpretrain: pip install 'hyperbolic-seg[peers]'")
    return args


def draw(seed: int) -> tuple[Tensor, Tensor]:
    """Draw an image (3, H, W) and its labels (H, W): shapes whose colors vary around those of their classes."""
    random = np.random.default_rng(seed)
    hues = np.linspace(0, 180, NUM_CLASSES, endpoint=False)
    image = np.zeros((SIZE, SIZE, 3), np.float32)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    for number in range(4):
        mask, kind = np.zeros((SIZE, SIZE), np.uint8), int(random.integers(NUM_CLASSES))
        center, axes = random.integers(0, SIZE, 2).tolist(), random.integers(12, 28, 2).tolist()
        if number == 0:
            mask[:] = 1
        elif random.random() < 0.5:
            cv2.ellipse(mask, center, axes, float(random.uniform(0, 180)), 0, 360, 1, -1)
        else:
            cv2.rectangle(mask, center, [c + a for c, a in zip(center, axes, strict=True)], 1, -1)
        color = np.uint8(
            [[[(hues[kind] + random.normal(0, 2)) % 180, random.integers(90, 220), random.integers(90, 220)]]]
        )
        image[mask > 0] = cv2.cvtColor(color, cv2.COLOR_HSV2RGB)[0, 0]
        labels[mask > 0] = kind
    image += random.normal(0, 8, image.shape)
    return torch.from_numpy(image.transpose(2, 0, 1)).float() / 64 - 2, torch.from_numpy(labels).long()


def narrow(name: str, width: int | None = None) -> ConfigDict:
    """Return the model of a base config behind a small backbone, without weights; heads have at most ``width``."""
    cfg = Config.fromfile(BASES / f'{name}.py')
    options, channels = NARROW.get(cfg.model.get('backbone', {}).get('type'), ({}, {}))
    if options:
        cfg.merge_from_dict(dict(model=dict(backbone=copy.deepcopy(options))))
    model = cfg.model
    model.update(pretrained=None, data_preprocessor=None)
    if 'backbone' in model:
        model.backbone.pop('init_cfg', None)
    _fit_inputs(model, channels)
    for head in heads(model):
        _fit_outputs(head, width)
    _set_norm(model)
    return model


def _fit_inputs(model: ConfigDict, channels: dict[int, int] | list[int]) -> None:
    """Tell the parts behind the backbone what its channels have become."""
    neck = model.get('neck')
    behind = [neck] if neck else []
    if not neck or neck.type == 'Feature2Pyramid':  # which keeps the channels
        behind += heads(model)
    elif neck.type == 'JPU':  # which replaces the last map alone, of which the decode head is
        behind += heads(model)[1:]
    for part in behind:
        for key in ('in_channels', 'c1_in_channels', 'embed_dim', *(['embed_dims'] if part.type == 'DPTHead' else [])):
            if key in part:
                part[key] = _renamed(part[key], channels)


def _renamed(value: Any, channels: dict[int, int] | list[int]) -> Any:
    if isinstance(channels, list):
        return channels
    return channels.get(value, value) if isinstance(value, int) else type(value)(channels.get(x, x) for x in value)


def _fit_outputs(head: ConfigDict, width: int | None) -> None:
    """Set the number of classes of a head, and its width at most."""
    if head.type != 'STDCHead':  # which finds edges
        head.num_classes = NUM_CLASSES
    for loss in head.loss_decode if isinstance(head.loss_decode, list) else [head.loss_decode]:
        loss.pop('class_weight', None)  # of 19 classes
    # Without a convolution a head has the channels of its input; one kind of head names its channels otherwise.
    if width is not None and 'channels' in head and head.get('num_convs') != 0:
        head.channels = min(head.channels, width)
        if 'mla_channels' in head:  # of each input; the head joins them
            head.mla_channels = head.channels // len(head.in_channels)


def heads(model: ConfigDict) -> list[ConfigDict]:
    """Return the configs of the decode heads and auxiliary heads of a model."""
    found = [model.get('decode_head'), model.get('auxiliary_head')]
    return [head for part in found if part for head in (part if isinstance(part, list) else [part])]


def _set_norm(cfg: Any) -> None:
    """Replace synchronized batch normalization, which needs a GPU."""
    for value in cfg.values() if isinstance(cfg, dict) else cfg:
        if isinstance(value, dict) and value.get('type') == 'SyncBN':
            value.type = 'BN'
        elif isinstance(value, (dict, list)):
            _set_norm(value)


def build(name: str, classifier: str, seed: int, width: int | None = None) -> nn.Module:
    """Build a model with one of the classifiers in its decode head, or in each of several."""
    cfg = narrow(name, width)
    cfg.pop('auxiliary_head', None)  # the same for all classifiers
    if classifier != 'conv_seg':
        cfg.decode_head = wrap(cfg.decode_head, classifier)
    torch.manual_seed(seed)
    model = MODELS.build(cfg)
    model.init_weights()
    return model


def wrap(head: Any, classifier: str) -> Any:
    """Wrap the config of a head, or those of several, by HyperbolicHead."""
    if isinstance(head, list):
        return [wrap(one, classifier) for one in head]
    return dict(type='HyperbolicHead', head=head, classifier=dict(type=classifier))


def batch(first: int) -> tuple[Tensor, Tensor]:
    """Draw a batch of images (N, 3, H, W) and their labels (N, H, W)."""
    images, labels = zip(*(draw(first + i) for i in range(BATCH)), strict=True)
    return torch.stack(images), torch.stack(labels)


def loss_of(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the sum of the losses that a model trains by."""
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=label[None]), metainfo=dict(img_shape=label.shape)) for label in labels
    ]
    loss: Tensor = model.parse_losses(model.loss(images, samples))[0]
    return loss


def step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> float:
    """Train for one step; return the loss before it."""
    loss = loss_of(model, images, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def train(
    model: str, classifier: str, optimizer: str, seed: int, iterations: int, width: int | None = None
) -> dict[str, float]:
    """Train a model; return its figures."""
    network = build(model, classifier, seed, width).train()
    steps = OPTIMIZERS[optimizer](network.parameters())
    schedule = torch.optim.lr_scheduler.PolynomialLR(steps, iterations, power=0.9)
    start, since = math.nan, time.perf_counter()
    for iteration in range(iterations):
        loss = step(network, steps, *batch((seed * iterations + iteration) * BATCH))
        if iteration == 0:
            start = loss
        schedule.step()
    seconds = time.perf_counter() - since
    confusion = torch.zeros(NUM_CLASSES, NUM_CLASSES)
    network.eval()
    with torch.no_grad():
        for first in range(10**6, 10**6 + 128, BATCH):
            images, labels = batch(first)
            predicted = network.encode_decode(images, [dict(img_shape=images.shape[2:])] * BATCH).argmax(1)
            pairs = labels.flatten() * NUM_CLASSES + predicted.flatten()
            confusion += torch.bincount(pairs, minlength=NUM_CLASSES**2).view(NUM_CLASSES, -1)
    return dict(start=start / math.log(NUM_CLASSES), miou=100 * float(mean_iou(confusion.numpy())), seconds=seconds)


def compare_times(name: str, classifiers: list[str], rounds: int, width: int | None) -> dict[str, float]:
    """Return the median time of a training step by classifier, in seconds; steps are taken in turn."""
    models = {classifier: build(name, classifier, 0, width).train() for classifier in classifiers}
    steps = {classifier: OPTIMIZERS['SGD'](model.parameters()) for classifier, model in models.items()}
    times: dict[str, list[float]] = {classifier: [] for classifier in classifiers}
    for turn in range(rounds + 2):  # two warm up
        images, labels = batch(turn * BATCH)
        for classifier, model in models.items():
            since = time.perf_counter()
            step(model, steps[classifier], images, labels)
            if turn >= 2:
                times[classifier].append(time.perf_counter() - since)
    return {classifier: statistics.median(taken) for classifier, taken in times.items()}


def print_table(rows: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Print a row for each model and optimizer: mIoU, loss at the start, and time over that of the first classifier."""
    first, *others = args.classifiers
    titles = [*args.classifiers, *(f'time, {other} / {first}' for other in others)]
    print(f'| model | optimizer | {" | ".join(titles)} |\n|---|---|{"---|" * len(titles)}')
    for name in args.models:
        timed = next(row['times'] for row in rows if row.items() >= _timing(name, args).items())
        ratios = [f'{timed[other] / timed[first]:.2f}' for other in others]
        for optimizer in args.optimizers:
            cells = [_cell(rows, name, classifier, optimizer, args) for classifier in args.classifiers]
            print(f'| {name} | {optimizer} | {" | ".join(cells + ratios)} |')
    if args.models is TRAINABLE:
        print('\n'.join(f'{name}: {reason}' for name, reason in EXCLUDED.items()))


def _cell(rows: list[dict[str, Any]], name: str, classifier: str, optimizer: str, args: argparse.Namespace) -> str:
    keys = [_training(name, classifier, optimizer, seed, args) for seed in args.seeds]
    found = [row for row in rows if any(row.items() >= key.items() for key in keys)]
    values, start = [row['miou'] for row in found], max(row['start'] for row in found)
    spread = f' ({min(values):.1f} to {max(values):.1f})' if len(values) > 1 else ''
    return f'{statistics.mean(values):.1f}{spread}, {start:.2f}'


def _training(name: str, classifier: str, optimizer: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    return dict(
        model=name, classifier=classifier, optimizer=optimizer, seed=seed, iterations=args.iterations, width=args.width
    )


def _timing(name: str, args: argparse.Namespace) -> dict[str, Any]:
    return dict(model=name, timed=list(args.classifiers), rounds=args.rounds, width=args.width)


def main() -> None:
    """Train and time the variants that have no results yet, then print the table."""
    args = parse_args()
    register_all_modules()
    init_default_scope('mmseg')
    MMLogger.get_instance('mmengine', log_level='ERROR')
    args.work_dir.mkdir(parents=True, exist_ok=True)
    file = args.work_dir / 'results.jsonl'
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def measure(key: dict[str, Any], figures: Callable[[], dict[str, Any]]) -> None:
        if any(row.items() >= key.items() for row in rows):
            return
        rows.append(key | figures())
        print(rows[-1], flush=True)
        with file.open('a') as table:
            table.write(json.dumps(rows[-1]) + '\n')

    for seed in args.seeds:
        for name in args.models:
            for optimizer in args.optimizers:
                for classifier in args.classifiers:
                    key = _training(name, classifier, optimizer, seed, args)
                    measure(key, lambda key=key: train(**key))
    for name in args.models:
        measure(
            _timing(name, args),
            lambda name=name: dict(times=compare_times(name, args.classifiers, args.rounds, args.width)),
        )
    print_table(rows, args)


if __name__ == '__main__':
    main()
