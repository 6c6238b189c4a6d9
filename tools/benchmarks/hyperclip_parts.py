r"""Measure what each part of HyperCLIP adds on the procedural sky, beside a Euclidean control.

    python tools/make_sky.py data/sky_parts --num-images 800 --size 96 --val-fraction 0.25
    python tools/benchmarks/hyperclip_parts.py data/sky_parts --work-dir work_dirs/parts --seeds 0 1 2

CostAggregationHead aggregates the costs between the features of a U-Net and the names of the taxonomy, encoded by the
offline text tower. All variants have the same data, schedule and seed; each changes only what its name says:

- 'cosine' or 'distance': the cost; distance is the hyperbolic one, cosine the Euclidean control.
- '+embedding': a RadiusTuner on the embeddings.
- '+weights': HyperCLIP's scaling of the weights of the tower.
- '+cones': TextEntailmentLoss on the tuned embeddings.

Results go to results.jsonl in the work folder. A variant that is in this file is not trained again. The table has mean
and range over seeds: mIoU in percent at depth 1 (sky and cloud), 2 (levels) and 3 (genera), and the mean radius of the
text embeddings after training.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from hyperbolic_seg.text import Taxonomy

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = (
    'cosine',
    'cosine+embedding',
    'cosine+weights',
    'distance',
    'distance+embedding',
    'distance+weights',
    'distance+embedding+cones',
)
FIGURES = ('mIoU/1', 'mIoU/2', 'mIoU/3')
SMALL = dict(
    dims=32,
    guidance_dims=32,
    fine_scales=(1, 1),
    fine_guidance_dims=(16, 8),
    decoder_dims=(32, 16),
    layers=1,
    window=6,
)
SCALING = dict(type='RadiusScaling', block_size=128, curvature=1.0)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sky', type=Path, help='folder that make_sky.py wrote')
    parser.add_argument('--work-dir', type=Path, required=True)
    parser.add_argument('--variants', nargs='+', choices=VARIANTS, default=VARIANTS)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--epochs', type=int, default=6)
    parser.add_argument('--size', type=int, default=64, help='side of the images in pixels')
    return parser.parse_args()


def write_bare_taxonomy(folder: Path) -> tuple[Path, Path]:
    """Write the taxonomy of the sky, and its leaves, with names and parents only; return both files.

    A trained tower then has few texts to encode. Leaves given as a list would bring all their synonyms.
    """
    tree, leaves = folder / 'sky_names.yaml', folder / 'sky_leaves.yaml'
    nodes = Taxonomy.load('sky').nodes
    concepts = [dict(name=node.name) | ({'parent': node.ancestors[0]} if node.ancestors else {}) for node in nodes]
    tree.write_text(yaml.safe_dump(dict(concepts=concepts), sort_keys=False), encoding='utf-8')
    selected = dict(base=tree.stem, select=[leaf.name for leaf in Taxonomy.load(str(tree)).leaves])
    leaves.write_text(yaml.safe_dump(selected, sort_keys=False), encoding='utf-8')
    return tree, leaves


def configure(args: argparse.Namespace, variant: str, seed: int, tree: Path, leaves: Path) -> Config:
    """Return the config of a variant."""
    cfg = Config.fromfile(ROOT / 'configs' / 'hyperclip_unet_cloud.py')
    cost, *parts = variant.split('+')
    encoder = dict(type='OpenCLIPTextEncoder', model='offline', templates=['{}'])
    head = dict(
        type='CostAggregationHead',
        taxonomy=str(tree),
        vocabulary=str(leaves),
        text_encoder=encoder | (dict(adapter=SCALING) if 'weights' in parts else {}),
        text_dims=cfg.text_dims,
        # Maps at 1/8 of the image, and at 1/4 and 1/2 to guide the upsampling.
        in_index=(3, 4, 2),
        in_channels=(48, cfg.width + cfg.context, 64),
        cost=cost,
        curvature=dict(value=1.0, learned=True, bounds=(0.1, 10.0)),
        aggregation=SMALL,
        tuner=dict(block_size=128, shared_scale=True) if 'embedding' in parts else None,
        text_losses=[dict(type='TextEntailmentLoss')] if 'cones' in parts else [],
        loss_decode=dict(type='HierarchicalCrossEntropyLoss', taxonomy=cfg.taxonomy),
    )
    cfg.model.decode_head = head
    cfg.model.test_cfg = dict(mode='whole')
    cfg.optim_wrapper.paramwise_cfg.custom_keys['decode_head.text.tower'] = dict(lr_mult=0.075)
    for part in ('train', 'val', 'test'):
        loader = cfg[f'{part}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(args.sky)
        for step in loader.dataset.pipeline:
            step.update({key: (args.size, args.size) for key in ('scale', 'crop_size') if key in step})
    cfg.train_dataloader.batch_size = 8
    cfg.train_cfg.update(max_epochs=args.epochs, val_interval=args.epochs)
    cfg.param_scheduler[1].update(T_max=args.epochs, end=args.epochs)
    cfg.default_hooks.checkpoint.save_best = None
    cfg.default_hooks.visualization.draw = False
    cfg.val_evaluator = cfg.test_evaluator = dict(type='CloudCoverMetric', draws=0)
    cfg.randomness = dict(seed=seed)
    return cfg


def train(cfg: Config, folder: Path, figures: Sequence[str] = FIGURES) -> dict[str, Any]:
    """Train in a folder; return figures of the last validation and the last radius of the text embeddings."""
    folder.mkdir(parents=True, exist_ok=True)
    cfg.dump(folder / 'config.py')
    command = [sys.executable, '-W', 'ignore', str(ROOT / 'tools' / 'train.py'), str(folder / 'config.py')]
    subprocess.run([*command, '--work-dir', str(folder)], check=True, stdout=subprocess.DEVNULL)
    newest = max(folder.rglob('scalars.json'), key=lambda path: path.stat().st_mtime)
    rows = [json.loads(line) for line in newest.read_text().splitlines()]
    radius = [row['decode.radius_text'] for row in rows if 'decode.radius_text' in row][-1]
    return {key: rows[-1][key] for key in figures} | dict(radius_text=radius)


def mean_and_range(values: list[float], digits: int) -> str:
    """Format the mean of some values and their range."""
    mean = sum(values) / len(values)
    return f'{mean:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})'


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the table, a row for every variant."""
    print('| cost and parts | sky and cloud | levels | genera | radius of words | seeds |\n|---|---|---|---|---|---|')
    for variant in VARIANTS:
        if found := [row for row in rows if row['variant'] == variant]:
            figures = [mean_and_range([row[key] for row in found], 1) for key in FIGURES]
            radius = mean_and_range([row['radius_text'] for row in found], 2)
            print(f'| {variant} | {" | ".join(figures)} | {radius} | {len(found)} |')


def main() -> None:
    """Train the variants that have no results yet, then print the table."""
    args = parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    words, table = write_bare_taxonomy(args.work_dir), args.work_dir / 'results.jsonl'
    rows = [json.loads(line) for line in table.read_text().splitlines()] if table.exists() else []
    for seed in args.seeds:
        for variant in args.variants:
            if any((row['variant'], row['seed']) == (variant, seed) for row in rows):
                continue
            found = train(configure(args, variant, seed, *words), args.work_dir / f'{variant}_{seed}')
            rows.append(dict(variant=variant, seed=seed) | found)
            with table.open('a') as file:
                file.write(json.dumps(rows[-1]) + '\n')
    print_table(rows)


if __name__ == '__main__':
    main()
