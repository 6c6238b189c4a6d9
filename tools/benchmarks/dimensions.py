"""Compare hyperbolic and Euclidean classifiers over numbers of dimensions and seeds.

    python tools/benchmarks/dimensions.py data/development data/sky hyperclip-unet-cloud --work-dir work_dirs/dimensions

The encoder of a trained model is frozen. Only heads are trained, on the features of sampled pixels, all with the same
words, data, steps and seeds. The figures are for sampled pixels of held-out images:

- mIoU: of cloud and clear sky, mean over the three cameras, in percent.
- genus, level: accuracy of the genus of most pixels, and of its level, on CCSN, in percent.
- steps: mean number of steps in the taxonomy from the predicted to the true genus.
- ECE: expected calibration error of cloud against clear sky, in percent.
- AURC: area under the risk-coverage curve, ranked by confidence or by radius, in percent.

The Euclidean controls are the cosine, which ignores lengths, and the two hyperbolic classifiers with a curvature of
0.001, where space is almost flat. The latter have the same parameters as their twins, so only the geometry differs.

A variant that is in results.jsonl is not trained again. --table prints means and standard deviations over seeds.
"""

import argparse
import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))
from clouds import CAMERAS, PROMPTS

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.evaluation import area_under_risk_coverage, expected_calibration_error, mean_iou
from hyperbolic_seg.text import WHOLE_IMAGE, Taxonomy

ROOT = Path(__file__).resolve().parents[2]
KINDS = ('distance', 'mlr', 'flat-distance', 'flat-mlr', 'cosine')
FLAT = dict(value=1e-3, learned=False)
BINS = 200


class Pixels(NamedTuple):
    """Sampled pixels of a set: features (images, C, pixels, 1) and labels (images, pixels, 1)."""

    features: Tensor
    labels: Tensor


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('development', type=Path, help='folder that development.py wrote')
    parser.add_argument('sky', type=Path, help='folder that make_sky.py wrote')
    parser.add_argument('model', help='name of a released model, or a .safetensors file')
    parser.add_argument('--work-dir', type=Path, required=True)
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=KINDS)
    parser.add_argument('--dims', nargs='+', type=int, default=[2, 4, 8, 16, 64])
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--steps', type=int, default=1500)
    parser.add_argument('--table', action='store_true', help='only print the table of existing results')
    return parser.parse_args()


@torch.no_grad()
def sample_pixels(model: Any, dataset: Any, count: int, *, whole_images: bool) -> Pixels:
    """Sample labeled pixels of every image of a set.

    Args:
        model: Segmentor whose feature maps are sampled.
        dataset: Dataset of a set.
        count: Number of pixels of an image, on the grid of the features.
        whole_images: Whether a label is that of its whole image, and is marked as such.
    """
    generator = torch.Generator().manual_seed(0)
    features, labels = [], []
    for item in dataset:
        batch = model.data_preprocessor(dict(inputs=[item['inputs']], data_samples=[item['data_samples']]), False)
        maps = model.extract_feat(batch['inputs'])[-1][0]
        sample = batch['data_samples'][0]
        sides = zip(maps.shape[1:], sample.img_shape[:2], batch['inputs'].shape[2:], strict=True)
        shape = [round(cells * side / padded) for cells, side, padded in sides]
        maps = maps[:, : shape[0], : shape[1]]  # without the padding
        truth = sample.gt_sem_seg.data.float()[None]
        grid = torch.nn.functional.interpolate(truth, size=shape, mode='nearest').flatten().long()
        known = (grid != 255).nonzero()[:, 0]
        if not len(known):
            continue
        drawn = known[torch.randint(len(known), (count,), generator=generator)]
        features.append(maps.flatten(1)[:, drawn].half())
        labels.append(grid[drawn] + WHOLE_IMAGE * whole_images)
    return Pixels(torch.stack(features)[..., None], torch.stack(labels)[..., None])


def read_pixels(args: argparse.Namespace, model: HyperSegInferencer) -> dict[str, Pixels]:
    """Return the pixels of all sets by set and split, from the work folder if they are there."""
    cache = args.work_dir / 'pixels.pt'
    if cache.exists():
        return {name: Pixels(*pair) for name, pair in torch.load(cache, weights_only=True).items()}
    pipeline = Config.fromfile(ROOT / 'configs' / 'hyperclip_unet_cloud.py').test_pipeline
    found: dict[str, Pixels] = {}
    for name in (*CAMERAS, 'ccsn', 'sky'):
        for side, count in (('train', 64), ('val', 256)):
            dataset = DATASETS.build(
                dict(
                    type='GroundCloudDataset',
                    data_root=str(args.sky if name == 'sky' else args.development / name),
                    img_suffix='.png' if name == 'sky' else '.jpg',
                    ann_file=f'splits/{side}.txt',
                    vocabulary='sky',
                    pipeline=pipeline,
                )
            )
            found[f'{name}/{side}'] = sample_pixels(model.model, dataset, count, whole_images=name == 'ccsn')
    torch.save({name: tuple(pair) for name, pair in found.items()}, cache)
    return found


def train_head(config: Config, pixels: dict[str, Pixels], kind: str, dims: int, seed: int, steps: int) -> Any:
    """Train a head on the same number of pixels of each set."""
    torch.manual_seed(seed)
    options = config.model.decode_head.copy()
    options.update(logits=kind.removeprefix('flat-'), embed_dims=dims, phrase_augmentation=None)
    if kind.startswith('flat-'):
        options.curvature = FLAT
    head = MODELS.build(options)
    head.init_weights()
    head.train()
    decayed = [p for p in head.parameters() if p.ndim > 1]
    others = [p for p in head.parameters() if p.ndim <= 1]
    groups = [dict(params=decayed, weight_decay=0.01), dict(params=others, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    sets = [pair for name, pair in pixels.items() if name.endswith('/train')]
    for _ in range(steps):
        drawn = [torch.randint(len(pair.labels), (12,)) for pair in sets]
        features = torch.cat([pair.features[rows].float() for pair, rows in zip(sets, drawn, strict=True)])
        labels = torch.cat([pair.labels[rows] for pair, rows in zip(sets, drawn, strict=True)])
        loss = head.loss_decode(head([features]), labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    return head.eval()


@torch.no_grad()
def evaluate(head: Any, pixels: dict[str, Pixels]) -> dict[str, float]:
    """Return the figures of a head; shares are in percent."""
    head.set_vocabulary(PROMPTS)
    ious, calibration, risks = [], np.zeros((3, 15)), {key: np.zeros((2, BINS)) for key in ('confidence', 'radius')}
    for camera in CAMERAS:
        features, labels = pixels[f'{camera}/val']
        logits, radius = head.forward_with_radius([features.float()])
        confidence, found = head.gather(logits).softmax(1).max(1)
        wrong = (found != labels).flatten().numpy()
        square = np.bincount((2 * labels + found).flatten().numpy(), minlength=4).reshape(2, 2).astype(float)
        ious.append(mean_iou(square))
        sure = confidence.flatten().numpy()
        place = np.minimum((15 * sure).astype(int), 14)
        for row, weights in enumerate((None, sure, (~wrong).astype(float))):
            calibration[row] += np.bincount(place, weights, 15)
        for name, value in (('confidence', sure), ('radius', radius.flatten().numpy())):
            risks[name] += _by_falling_rank(value, wrong)
    tree = Taxonomy.load('sky')
    genera = [i for i, node in enumerate(tree.nodes) if node.latin and node.name != 'contrail']
    head.set_vocabulary([tree.nodes[i].name for i in genera])
    features, labels = pixels['ccsn/val']
    votes = torch.nn.functional.one_hot(head([features.float()]).argmax(1)[..., 0], len(genera)).sum(1)
    chosen, truth = torch.tensor(genera)[votes.argmax(1)], labels[:, 0, 0] - WHOLE_IMAGE
    known = torch.isin(truth, torch.tensor(genera))
    steps = tree.distances[chosen[known], truth[known]].float()
    return {
        'mIoU': 100 * statistics.mean(ious),
        'genus': 100 * (steps == 0).float().mean().item(),
        'level': 100 * (steps <= 2).float().mean().item(),
        'steps': steps.mean().item(),
        'ECE': 100 * expected_calibration_error(calibration),
        'AURC/confidence': 100 * area_under_risk_coverage(risks['confidence']),
        'AURC/radius': 100 * area_under_risk_coverage(risks['radius']),
    }


def _by_falling_rank(value: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Return counts of pixels and of mistakes in bins of equal size by falling value, (2, BINS)."""
    parts = np.array_split(wrong[np.argsort(-value, kind='stable')], BINS)
    return np.array([[len(part) for part in parts], [part.sum() for part in parts]], float)


def print_table(rows: list[dict]) -> None:
    """Print the table of means and standard deviations over seeds."""
    groups = defaultdict(list)
    for row in rows:
        groups[row['dims'], row['kind']].append(row)
    figures = [key for key in rows[0] if key not in ('kind', 'dims', 'seed', 'steps_trained')]
    print('| dimensions | classifier | seeds | ' + ' | '.join(figures) + ' |\n|' + '---|' * (len(figures) + 3))
    for (dims, kind), group in sorted(groups.items()):
        cells = []
        for figure in figures:
            values = [row[figure] for row in group]
            spread = statistics.stdev(values) if len(values) > 1 else float('nan')
            cells.append(f'{statistics.mean(values):.2f} ± {spread:.2f}')
        print(f'| {dims} | {kind} | {len(group)} | ' + ' | '.join(cells) + ' |')


def main() -> None:
    """Train and evaluate the variants that have no results yet, then print the table."""
    args = parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    results = args.work_dir / 'results.jsonl'
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    if not args.table:
        init_default_scope('mmseg')
        model = HyperSegInferencer(args.model, device='cpu')
        pixels = read_pixels(args, model)
        done = {(row['kind'], row['dims'], row['seed'], row['steps_trained']) for row in rows}
        wanted = [(kind, dims, seed) for seed in args.seeds for dims in args.dims for kind in args.kinds]
        for kind, dims, seed in wanted:
            if (kind, dims, seed, args.steps) in done:
                continue
            head = train_head(model.cfg, pixels, kind, dims, seed, args.steps)
            row = dict(kind=kind, dims=dims, seed=seed, steps_trained=args.steps, **evaluate(head, pixels))
            rows.append(row)
            with results.open('a') as file:
                file.write(json.dumps(row) + '\n')
            print(row, flush=True)
    print_table(rows)


if __name__ == '__main__':
    main()
