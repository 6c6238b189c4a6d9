"""Train variants of the joint model one after the other and evaluate each: what helps, and where.

    python tools/benchmarks/ablations.py data/development data/sky --work-dir work_dirs/ablations --variants cosine

Data, schedule and seed are the same for all variants; each changes only what its name says:

- 'distance', 'mlr', 'cosine': the logits; cosine is the Euclidean control.
- 'distance-8', 'cosine-8' and so on: the number of dimensions.
- 'entailment', 'radius': a loss on the text embeddings.
- 'without-SET': one camera is left out.
- 'transfer-SET': the same, and training starts from the model of the procedural sky with a frozen encoder.
- 'sky': all real images are left out.
- 'unseen-GENUS-GENUS': the images of two genera are left out, real and rendered, and no set is repeated. unseen.py
  summarizes the results.

A camera that is left out is evaluated on all its images. Its mIoU is reported beside that of the best classical rule,
whose thresholds are tuned on the other cameras, and beside its own with norms that adapt to each image.

Results go to results.jsonl in the work folder. A variant that is in this file is not trained again.
"""

import argparse
import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmseg.registry import MODELS

sys.path.insert(0, str(Path(__file__).resolve().parent))
from clouds import CAMERAS, PROMPTS, confusion, evaluate_rules, genus_hits, read_pairs
from unseen import count_levels

from hyperbolic_seg.apis import HyperSegInferencer, load_release
from hyperbolic_seg.evaluation import bootstrap, mean_iou

ROOT = Path(__file__).resolve().parents[2]
ADAPT = (0.05, 0.1, 0.2)
TEXT_LOSSES = {'entailment': 'TextEntailmentLoss', 'radius': 'TextRadiusLoss'}
SETS = (*CAMERAS, 'ccsn', 'sky')
START = 'hyperclip-unet-sky'  # released model that transfer starts from
ANY_CAMERA = dict(exposure=0.5, white_balance=0.25, saturation=(0.5, 1.5), gamma=0.25, blur=1.0, prob=0.9)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('development', type=Path, help='folder that development.py wrote')
    parser.add_argument('sky', type=Path, nargs='+', help='folders that make_sky.py wrote')
    parser.add_argument('--work-dir', type=Path, required=True)
    parser.add_argument('--variants', nargs='+', required=True)
    parser.add_argument('--epochs', type=int, default=3)
    parser.add_argument('--size', type=int, default=128, help='side of the images in pixels')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    return parser.parse_args()


def configure(args: argparse.Namespace, variant: str, seed: int) -> Config:
    """Return the config of a variant on the given data.

    Raises:
        ValueError: The variant is unknown.
    """
    cfg = Config.fromfile(ROOT / 'configs/released/hyperclip_unet_cloud.py')
    sets = dict(zip(SETS, cfg.train_dataloader.dataset.datasets[: len(SETS)], strict=True))
    rendered = sets.pop('sky')
    roots = {name: args.development / name for name in sets} | {f'sky {root}': root for root in args.sky}
    sets |= {name: copy.deepcopy(rendered) for name in roots if name not in sets}
    for name, wrapped in sets.items():
        dataset = wrapped.get('dataset', wrapped)
        dataset.data_root = str(roots[name])
        for step in dataset.pipeline:
            step.update({key: (args.size, args.size) for key in ('scale', 'crop_size') if key in step})
            if 'donors' in step:
                step.donors = [str(root) for root in args.sky]
    head = cfg.model.decode_head
    kind, _, detail = variant.partition('-')
    if kind in ('distance', 'mlr', 'cosine'):
        head.logits = kind
        head.embed_dims = int(detail) if detail else None
    elif kind in TEXT_LOSSES:
        head.text_losses = [dict(type=TEXT_LOSSES[kind])]
    elif kind in ('without', 'transfer') and detail in sets:
        del sets[detail]
        if kind == 'transfer':
            start_from_sky(cfg, sets)
    elif variant == 'sky':
        sets = {name: dataset for name, dataset in sets.items() if name not in (*CAMERAS, 'ccsn')}
    elif kind == 'unseen':
        leave_out(head, detail.split('-'))
        sets = {name: wrapped.get('dataset', wrapped) for name, wrapped in sets.items()}
    else:
        raise ValueError(f'unknown variant {variant!r}; --help lists the variants')
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.datasets = list(sets.values())
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        for dataset in loader.dataset.datasets:
            dataset.data_root = str(args.development / Path(dataset.data_root).name)
            dataset.pipeline[1].scale = (args.size, args.size)
    cfg.train_cfg.update(max_epochs=args.epochs, val_interval=args.epochs + 1)
    cfg.param_scheduler[1].update(T_max=args.epochs, end=args.epochs)
    cfg.default_hooks.checkpoint.save_best = None
    cfg.default_hooks.visualization.draw = False
    cfg.randomness = dict(seed=seed)
    return cfg


def leave_out(head: ConfigDict, genera: list[str]) -> None:
    """Ignore pixels and images of the given genera in the loss; the genera stay in the taxonomy and the vocabulary."""
    head.loss_decode.update(unlabeled=genera, parent_weight=1.0)
    MODELS.build(head.loss_decode)  # raises for a name that is no genus


def start_from_sky(cfg: Config, sets: dict[str, ConfigDict]) -> None:
    """Make a config start from the model of the procedural sky, for transfer to other cameras."""
    cfg.load_from = str(load_release(START)[1])
    cfg.model.data_preprocessor.type = 'DaylightPreProcessor'
    cfg.model.backbone.update(frozen=True, adapt=0.15)
    cfg.optim_wrapper.optimizer.lr = 1e-3
    for wrapped in sets.values():
        for step in wrapped.get('dataset', wrapped).pipeline:
            if step['type'] == 'RandomCamera':
                step.update(ANY_CAMERA)


def evaluate_variant(variant: str, config: Path, checkpoint: Path, development: Path) -> dict[str, Any]:
    """Evaluate a variant; figures are in percent.

    Returns:
        mIoU on every camera with its 95 % interval, and, depending on the variant: for a camera left out, mIoU of the
        best rule and with adapting norms; for genera left out, the counts of predicted levels; otherwise the
        accuracy of genus and level.
    """
    model = HyperSegInferencer(config, checkpoint, device='cpu')
    kind, _, detail = variant.partition('-')
    found: dict[str, Any] = {}
    for name in CAMERAS:
        value, interval = evaluate_camera(model, evaluation_images(development / name, left_out=name == detail))
        found |= {name: value, f'{name}, 95 %': interval}
    if kind == 'unseen':
        return found | dict(levels=count_levels(model, development / 'ccsn', detail.split('-')))
    if detail not in CAMERAS:
        return found | evaluate_genera(model, development / 'ccsn')
    found |= best_rule_elsewhere(development, detail)
    return found if kind == 'transfer' else found | evaluate_adapted(config, checkpoint, development / detail)


def evaluation_images(folder: Path, *, left_out: bool) -> list:
    """Read the images of a camera that a model was not trained on: all if it is left out, else the held-out ones."""
    return [pair for side in (('val', 'train') if left_out else ('val',)) for pair in read_pairs(folder, side)]


def evaluate_genera(model: HyperSegInferencer, folder: Path) -> dict[str, float]:
    """Return the accuracy of genus and level on images of one genus each, in percent."""
    found = {}
    for wording, hits in genus_hits(model, folder):
        found |= {f'{key}, {wording}': 100 * sum(right) / len(right) for key, right in hits.items()}
    return found


def evaluate_camera(model: HyperSegInferencer, pairs: list) -> tuple[float, tuple[float, float]]:
    """Return mIoU on images with its 95 % interval, in percent."""
    model.set_prompts(PROMPTS)
    sums = np.stack([confusion(model.predict_one(image)['labels'], mask) for image, mask in pairs])
    low, high = bootstrap(sums, mean_iou)
    return 100 * mean_iou(sums.sum(0)), (100 * low, 100 * high)


def evaluate_adapted(config: Path, checkpoint: Path, folder: Path) -> dict[str, float]:
    """Return mIoU on a camera left out, in percent, with norms that mix in the statistics of each image."""
    found, pairs = {}, evaluation_images(folder, left_out=True)
    for weight in ADAPT:
        cfg = Config.fromfile(config)
        cfg.model.backbone.adapt = weight
        model = HyperSegInferencer(cfg, checkpoint, device='cpu')
        found[f'{folder.name}, adapt={weight}'] = evaluate_camera(model, pairs)[0]
    return found


def best_rule_elsewhere(development: Path, camera: str) -> dict[str, float]:
    """Return name and mIoU, in percent, of the best rule on a camera, with thresholds tuned on the other cameras."""
    others = [pair for name in CAMERAS if name != camera for pair in read_pairs(development / name, 'train')]
    found = evaluate_rules(evaluation_images(development / camera, left_out=True), others)
    scores = {name: 100 * mean_iou(sum(sums)) for name, sums in found.items()}
    best = max(scores, key=lambda name: scores[name])
    return {f'best rule on {camera}: {best}': scores[best]}


def train(args: argparse.Namespace, variant: str, seed: int, folder: Path) -> Path:
    """Train a variant in its folder; return the checkpoint to evaluate."""
    folder.mkdir(exist_ok=True)
    configure(args, variant, seed).dump(folder / 'config.py')
    run('train.py', folder / 'config.py', '--work-dir', folder, *(['--amp'] if args.amp else []))
    last = folder / f'epoch_{args.epochs}.pth'
    if not variant.startswith('transfer'):
        return last
    run('average.py', folder / 'averaged.pth', last, load_release(START)[1])
    return folder / 'averaged.pth'


def run(tool: str, *arguments: str | Path) -> None:
    """Run a tool of this repository without its standard output."""
    command = [sys.executable, '-W', 'ignore', str(ROOT / 'tools' / tool), *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Train and evaluate the variants that have no results yet."""
    args = parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    table = args.work_dir / 'results.jsonl'
    rows = [json.loads(line) for line in table.read_text().splitlines()] if table.exists() else []
    done = {(row['variant'], row['seed'], row['epochs'], row['size']) for row in rows}
    for seed in args.seeds:
        for variant in args.variants:
            if (variant, seed, args.epochs, args.size) in done:
                continue
            folder = args.work_dir / f'{variant}_{seed}'
            checkpoint = train(args, variant, seed, folder)
            found = evaluate_variant(variant, folder / 'config.py', checkpoint, args.development)
            row = dict(variant=variant, seed=seed, epochs=args.epochs, size=args.size, **found)
            with table.open('a') as file:
                file.write(json.dumps(row) + '\n')
            print(row, flush=True)


if __name__ == '__main__':
    main()
