"""Draw contact sheets of a data set: image, mask and overlay of each sample, with a legend.

python tools/browse_dataset.py configs/hyperclip_unet_cloud.py --out sheet.png
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:
    from mmengine.config import Config

GAP = 4
"""Pixels between images."""


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Contact sheets of image, mask and overlay')
    parser.add_argument('config', help='config file')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train')
    parser.add_argument('--out', default='contact_sheet.png', help='PNG file; further sheets get a number')
    parser.add_argument('--num-images', type=int, default=24, help='samples to draw, evenly spread (default 24)')
    parser.add_argument('--columns', type=int, default=3, help='samples in a row (default 3)')
    parser.add_argument('--rows', type=int, default=8, help='rows of a sheet (default 8)')
    parser.add_argument('--height', type=int, default=160, help='height of an image in pixels (default 160)')
    parser.add_argument(
        '--cfg-options', nargs='+', action='extend', metavar='KEY=VALUE', help='settings that override the config'
    )
    args = parser.parse_args()
    for name in ('num_images', 'columns', 'rows', 'height'):
        if getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be positive, got {getattr(args, name)}')
    return args


def tile(sample: dict, palette: list, *, height: int) -> np.ndarray:
    """Return image, mask and overlay of a packed sample side by side, (height, 3 height + gaps, 3), RGB."""
    from hyperbolic_seg.visualization import blend, color_labels

    image = sample['inputs'].numpy()[::-1].transpose(1, 2, 0).astype(np.uint8)
    labels = sample['data_samples'].gt_sem_seg.data[0].numpy()
    if labels.shape != image.shape[:2]:  # test pipelines keep the original size of the labels
        image = cv2.resize(image, labels.shape[::-1], interpolation=cv2.INTER_CUBIC)
    images = [image, color_labels(labels, palette), blend(image, labels, palette)]
    scale = height / max(labels.shape)
    size = (max(round(labels.shape[1] * scale), 1), max(round(labels.shape[0] * scale), 1))
    drawn = np.full((height + GAP, 3 * (height + GAP), 3), 255, np.uint8)
    for i, each in enumerate(images):
        left = i * (height + GAP)
        drawn[: size[1], left : left + size[0]] = cv2.resize(each, size, interpolation=cv2.INTER_AREA)
    return drawn


def load_config(args: argparse.Namespace) -> 'Config':
    """Return the config with the options of the command line merged in."""
    from mmengine.config import Config

    from hyperbolic_seg.engine import parse_cfg_options

    config = Config.fromfile(args.config)
    config.merge_from_dict(parse_cfg_options(args.cfg_options))
    return config


def main() -> int:
    """Draw the sheets; return the exit code."""
    args = parse_args()
    # Imported here, because these modules import torch, which takes seconds: --help and a wrong option need none of it.
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    from hyperbolic_seg.files import write_whole
    from hyperbolic_seg.visualization import legend

    config = load_config(args)
    init_default_scope(config.default_scope)
    dataset = DATASETS.build(config[f'{args.split}_dataloader'].dataset)
    names, palette = dataset.metainfo['classes'], dataset.metainfo['palette']
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(args.num_images, len(dataset))).round().astype(int))
    tiles = [tile(dataset[int(i)], palette, height=args.height) for i in tqdm(chosen, unit='sample')]
    per_sheet = args.columns * args.rows
    for number, start in enumerate(range(0, len(tiles), per_sheet)):
        part = tiles[start : start + per_sheet]
        part += [np.full_like(part[0], 255)] * (-len(part) % args.columns)
        rows = [np.concatenate(part[i : i + args.columns], 1) for i in range(0, len(part), args.columns)]
        sheet = np.concatenate([*rows, legend(names, palette, rows[0].shape[1])])
        out = Path(args.out)
        out = out if number == 0 else out.with_name(f'{out.stem}_{number + 1}{out.suffix}')
        done, content = cv2.imencode(out.suffix, np.ascontiguousarray(sheet[..., ::-1]))
        if not done:
            raise SystemExit(f'--out {out}: OpenCV could not encode the sheet')
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, content.tobytes())
        print(f'{len(chosen[start : start + per_sheet])} of {len(dataset)} samples drawn in {out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
