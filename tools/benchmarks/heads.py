"""Train stock models of MMSegmentation with their own classifier and with hyperbolic ones, on one small budget.

    python tools/benchmarks/heads.py --work-dir work_dirs/heads

The models are the base configs of MMSegmentation with their own heads, at full width, behind narrow backbones, so that
a run takes seconds on a CPU. All variants of a model start from the same seed and see the same images: colored shapes
of five classes, drawn by this script, whose colors vary. The classifiers have their default options, within
HyperbolicHead. Figures of a run are the cross entropy of the first batch, over the logarithm of the number of classes,
and the mIoU on images that were not trained on, after all iterations.

A variant that is in results.jsonl is not trained again. The table has the mean and range over seeds.
"""

import argparse
import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import cv2
import mmseg
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
from torch import Tensor, nn

import hyperbolic_seg.plugin  # noqa: F401
from hyperbolic_seg.evaluation import mean_iou

BASES = Path(mmseg.__file__).parent / '.mim' / 'configs' / '_base_' / 'models'
NUM_CLASSES, SIZE, BATCH = 5, 48, 8
NORM = dict(type='BN', requires_grad=True)
RESNET = dict(
    type='ResNetV1c',
    depth=18,
    stem_channels=16,
    base_channels=16,
    norm_cfg=NORM,
    num_stages=4,
    out_indices=(0, 1, 2, 3),
    norm_eval=False,
)
DILATED = RESNET | dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True)
MODELS_TRAINED: dict[str, tuple[str, dict[str, Any] | None, dict[str, Any]]] = {
    'FCN': ('fcn_r50-d8', DILATED, dict(in_channels=128)),
    'PSP': ('pspnet_r50-d8', DILATED, dict(in_channels=128)),
    'DeepLabV3+': ('deeplabv3plus_r50-d8', DILATED, dict(in_channels=128, c1_in_channels=16)),
    'UPer': ('upernet_r50', RESNET, dict(in_channels=[16, 32, 64, 128])),
    'SegFormer': ('segformer_mit-b0', None, {}),
    'BiSeNet': ('bisenetv1_r18-d32', None, {}),
}
"""Base config, its backbone and what its head has to know of it, by the name of a model."""
CLASSIFIERS = ('conv_seg', 'HyperbolicMLR', 'HyperbolicPrototypes', 'EntailmentCones')
OPTIMIZERS = {
    'SGD': lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=5e-4),
    'AdamW': lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01),
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', type=Path, required=True)
    parser.add_argument('--models', nargs='+', choices=MODELS_TRAINED, default=list(MODELS_TRAINED))
    parser.add_argument('--classifiers', nargs='+', choices=CLASSIFIERS, default=CLASSIFIERS)
    parser.add_argument('--optimizers', nargs='+', choices=OPTIMIZERS, default=list(OPTIMIZERS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--iterations', type=int, default=120)
    return parser.parse_args()


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


def build(name: str, classifier: str, seed: int) -> nn.Module:
    """Build a model with one of the classifiers."""
    base, backbone, options = MODELS_TRAINED[name]
    cfg = Config.fromfile(BASES / f'{base}.py').model
    cfg.pop('pretrained', None)
    cfg.pop('auxiliary_head', None)  # the same for all classifiers
    cfg.data_preprocessor = None
    if backbone is not None:
        cfg.backbone = copy.deepcopy(backbone)
    cfg.decode_head.update(options, num_classes=NUM_CLASSES)
    _set_norm(cfg)
    if classifier != 'conv_seg':
        cfg.decode_head = dict(type='HyperbolicHead', head=cfg.decode_head, classifier=dict(type=classifier))
    torch.manual_seed(seed)
    model = MODELS.build(cfg)
    model.init_weights()
    return model


def _set_norm(cfg: Any) -> None:
    """Replace synchronized batch normalization, which needs a GPU."""
    for key, value in cfg.items() if isinstance(cfg, dict) else enumerate(cfg):
        if key == 'norm_cfg' and isinstance(value, dict) and value.get('type') == 'SyncBN':
            cfg[key] = ConfigDict(NORM)
        elif isinstance(value, (dict, list)):
            _set_norm(value)


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    """Return the logits of a model at the size of the images."""
    logits: Tensor = model.decode_head(model.extract_feat(images))
    return F.interpolate(logits, images.shape[2:], mode='bilinear')


def train(name: str, classifier: str, optimizer: str, seed: int, iterations: int) -> dict[str, float]:
    """Train a model; return its figures."""
    model = build(name, classifier, seed).train()
    steps = OPTIMIZERS[optimizer](model.parameters())
    schedule = torch.optim.lr_scheduler.PolynomialLR(steps, iterations, power=0.9)
    start, since = math.nan, time.perf_counter()
    for iteration in range(iterations):
        first = (seed * iterations + iteration) * BATCH
        images, labels = map(torch.stack, zip(*(draw(first + i) for i in range(BATCH)), strict=True))
        loss = F.cross_entropy(logits_of(model, images), labels)
        if iteration == 0:
            start = loss.item()
        steps.zero_grad()
        loss.backward()
        steps.step()
        schedule.step()
    seconds = time.perf_counter() - since
    confusion = torch.zeros(NUM_CLASSES, NUM_CLASSES)
    model.eval()
    with torch.no_grad():
        for first in range(10**6, 10**6 + 128, BATCH):
            images, labels = map(torch.stack, zip(*(draw(first + i) for i in range(BATCH)), strict=True))
            pairs = labels.flatten() * NUM_CLASSES + logits_of(model, images).argmax(1).flatten()
            confusion += torch.bincount(pairs, minlength=NUM_CLASSES**2).view(NUM_CLASSES, -1)
    return dict(start=start / math.log(NUM_CLASSES), miou=100 * float(mean_iou(confusion.numpy())), seconds=seconds)


def print_table(rows: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Print a row for each model and optimizer: cross entropy at the start, and mIoU."""
    print(f'| model | optimizer | {" | ".join(CLASSIFIERS)} |\n|---|---|{"---|" * len(CLASSIFIERS)}')
    for name in args.models:
        for optimizer in args.optimizers:
            cells = []
            for classifier in CLASSIFIERS:
                found = [
                    row
                    for row in rows
                    if (row['model'], row['classifier'], row['optimizer']) == (name, classifier, optimizer)
                ]
                values = [row['miou'] for row in found]
                cells.append(
                    f'{sum(values) / len(values):.1f} ({min(values):.1f} to {max(values):.1f}), '
                    f'{max(row["start"] for row in found):.2f}'
                    if found
                    else ''
                )
            print(f'| {name} | {optimizer} | {" | ".join(cells)} |')


def main() -> None:
    """Train the variants that have no results yet, then print the table."""
    args = parse_args()
    register_all_modules()
    MMLogger.get_instance('mmengine', log_level='ERROR')
    args.work_dir.mkdir(parents=True, exist_ok=True)
    file = args.work_dir / 'results.jsonl'
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    for seed in args.seeds:
        for name in args.models:
            for optimizer in args.optimizers:
                for classifier in args.classifiers:
                    key = dict(
                        model=name, classifier=classifier, optimizer=optimizer, seed=seed, iterations=args.iterations
                    )
                    if any(key.items() <= row.items() for row in rows):
                        continue
                    rows.append(key | train(name, classifier, optimizer, seed, args.iterations))
                    print(rows[-1], flush=True)
                    with file.open('a') as table:
                        table.write(json.dumps(rows[-1]) + '\n')
    print_table(rows, args)


if __name__ == '__main__':
    main()
