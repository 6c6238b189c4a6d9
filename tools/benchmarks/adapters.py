r"""Compare adapters of the frozen towers at an equal number of trainable parameters: radius against angle.

    python tools/make_sky.py data/sky_parts --num-images 800 --size 96 --val-fraction 0.25
    python tools/benchmarks/adapters.py data/sky_parts --work-dir work_dirs/adapters
    python tools/benchmarks/adapters.py data/coco_stuff164k --data coco_stuff --work-dir work_dirs/adapters_coco

On the procedural sky, the model is that of hyperclip_parts.py with the cosine as its cost: a U-Net as image encoder,
and the offline text tower with an adapter. On COCO-Stuff it is configs/hyperclip/hyperclip_vitb16_384.py with adapters
of both towers of CLIP, whose weights have to be at hand. All variants have the same data, schedule and seed, and adapt
the weights of queries, keys and values:

- 'none': no adapter, the floor.
- 'RadiusScaling': block-diagonal matrices (HyperCLIP); its block size sets the budget of the others.
- 'BlockRotation': block-diagonal rotations (HyRo), which keep the radius of all rows.
- 'SharedScaling': matrices mixed from one bank (HyperCLIP++), on COCO-Stuff one for both towers.
- 'LowRank': LoRA, the control.

Results go to results.jsonl in the work folder. A variant that is in this file is not trained again. The table has mean
and range over seeds: mIoU in percent, on the sky at depth 1 (sky and cloud), 2 (levels) and 3 (genera); the mean radius
2 |v| of the embeddings v of the words, which are not normalized, before and after the training; and the mean angle in
degrees between both.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import hyperclip_parts as parts
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from hyperbolic_seg.geometry import radius
from hyperbolic_seg.layers import ScalingBank, count_parameters
from hyperbolic_seg.text import TextTower

VARIANTS = ('none', 'RadiusScaling', 'BlockRotation', 'SharedScaling', 'LowRank')
FIGURES = {'sky': parts.FIGURES, 'coco_stuff': ('mIoU',)}
TITLES = {'sky': ('sky and cloud', 'levels', 'genera'), 'coco_stuff': ('mIoU',)}
BLOCK_SIZE = {'sky': 64, 'coco_stuff': 128}
CURVATURE = dict(text=1.0, vision=0.01)  # as released
TOLERANCE = 0.05  # largest share by which a number of parameters may miss the budget


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='folder that make_sky.py wrote, or that of COCO-Stuff')
    parser.add_argument('--data', choices=FIGURES, default='sky')
    parser.add_argument('--work-dir', type=Path, required=True)
    parser.add_argument('--variants', nargs='+', choices=VARIANTS, default=VARIANTS)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--block-size', type=int, help='of RadiusScaling; 64 for the sky, 128 for COCO-Stuff')
    parser.add_argument('--epochs', type=int, default=6, help='of the sky')
    parser.add_argument('--size', type=int, default=64, help='side of the images of the sky in pixels')
    parser.add_argument('--iterations', type=int, default=80_000, help='of COCO-Stuff')
    parser.add_argument('--pretrained', help="checkpoint file of CLIP for COCO-Stuff; 'openai' by default")
    args = parser.parse_args()
    expected = args.folder / ('images' if args.data == 'coco_stuff' else 'splits')
    if not args.folder.is_dir() or (args.data == 'coco_stuff' and not expected.is_dir()):
        parser.error(f'{args.folder} is no folder of {args.data}: see --help for how to make or prepare it')
    return args


def choose_options(towers: dict[str, nn.Module], kind: str, block_size: int) -> dict[str, Any]:
    """Return the options of an adapter whose parameters are closest to the budget.

    Args:
        towers: The towers to adapt, ``'text'`` and maybe ``'vision'``, whose bank the text tower then shares.
        kind: Name of the adapter.
        block_size: Block size of the ``RadiusScaling`` whose parameters are the budget.

    Raises:
        ValueError: The parameters miss the budget by more than 5 %.
    """
    budget = count(towers, 'RadiusScaling', dict(block_size=block_size))
    if kind == 'RadiusScaling':
        return dict(block_size=block_size)
    if kind == 'BlockRotation':
        candidates = [dict(block_size=size) for size in range(2, 4 * block_size + 1) if fits(towers, size)]
    else:  # proportional to one number
        name, rest = ('rank', {}) if kind == 'LowRank' else ('count', dict(block_size=block_size))
        candidates = [{name: max(1, round(budget / count(towers, kind, {name: 1} | rest)))} | rest]
    best = min(candidates, key=lambda options: abs(count(towers, kind, options) - budget))
    if abs(count(towers, kind, best) - budget) > TOLERANCE * budget:
        raise ValueError(
            f'{kind} with {best} has {count(towers, kind, best)} parameters, more than 5 % off the budget of {budget}: '
            'choose another --block-size'
        )
    return best


def fits(towers: dict[str, nn.Module], block_size: int) -> bool:
    """Return whether a block size divides the rows of all towers."""
    try:
        count(towers, 'BlockRotation', dict(block_size=block_size))
    except ValueError:
        return False
    return True


def count(towers: dict[str, nn.Module], kind: str, options: dict[str, Any]) -> int:
    """Return the number of parameters of adapters on queries, keys and values of all towers."""
    total = 0
    for number, tower in enumerate(towers.values()):
        used = dict(bank=ScalingBank(**options)) if kind == 'SharedScaling' and number else options
        total += count_parameters(tower, kind, out_proj=False, **used)
    return total


def configure(args: argparse.Namespace, variant: str, seed: int, words: tuple[Path, Path]) -> Config:
    """Return the config of a variant; its ``adapter`` has the options and the number of parameters."""
    cfg = configure_sky(args, seed, words) if args.data == 'sky' else configure_coco(args, seed)
    encoder = cfg.model.decode_head.text_encoder
    holders = dict(vision=cfg.model.backbone, text=encoder) if args.data == 'coco_stuff' else dict(text=encoder)
    for holder in holders.values():
        holder.pop('adapter', None)
    cfg.study = dict(variant=variant, parameters=0)
    if variant == 'none':
        return cfg
    towers = build_towers(cfg, args.data)
    options = choose_options(towers, variant, args.block_size or BLOCK_SIZE[args.data])
    cfg.study = dict(variant=variant, parameters=count(towers, variant, options), options=options)
    for name, holder in holders.items():
        limit = dict(curvature=CURVATURE[name]) if variant == 'RadiusScaling' else {}
        holder.adapter = dict(type=variant, out_proj=False, **options, **limit)
    cfg.model.share_adapters = variant == 'SharedScaling' and len(holders) > 1
    return cfg


def build_towers(cfg: Config, data: str) -> dict[str, nn.Module]:
    """Return the towers of a config without adapters and without weights; the one that owns a bank comes first."""
    encoder = cfg.model.decode_head.text_encoder
    with torch.device('meta'):
        text = TextTower(encoder.model, encoder.get('pretrained'))
        return dict(vision=MODELS.build(cfg.model.backbone), text=text) if data == 'coco_stuff' else dict(text=text)


def configure_sky(args: argparse.Namespace, seed: int, words: tuple[Path, Path]) -> Config:
    """Return the config of the sky without an adapter."""
    sky = argparse.Namespace(sky=args.folder, epochs=args.epochs, size=args.size)
    cfg = parts.configure(sky, 'cosine', seed, *words)
    cfg.default_hooks.checkpoint.interval = args.epochs
    return cfg


def configure_coco(args: argparse.Namespace, seed: int) -> Config:
    """Return the config of COCO-Stuff."""
    cfg = Config.fromfile(parts.ROOT / 'configs' / 'hyperclip' / 'hyperclip_vitb16_384.py')
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].dataset.data_root = str(args.folder)
    if args.pretrained is not None:
        clip = dict(pretrained=args.pretrained, quick_gelu=True)
        cfg.model.backbone.update(clip)
        cfg.model.decode_head.text_encoder.update(clip)
    cfg.train_cfg.update(max_iters=args.iterations, val_interval=args.iterations)
    cfg.param_scheduler[0].update(T_max=args.iterations, end=args.iterations)
    cfg.default_hooks.checkpoint.interval = args.iterations
    cfg.randomness = dict(seed=seed)
    return cfg


@torch.no_grad()
def compare_words(cfg: Config, checkpoint: Path) -> dict[str, float]:
    """Return the mean radius of the words before and after a training, and the mean angle between both in degrees.

    Args:
        cfg: Config of the training.
        checkpoint: What it left behind.

    Raises:
        RuntimeError: The weights of the text tower are not available.
    """
    encoder = cfg.model.decode_head.text_encoder
    start = TextTower(encoder.model, encoder.get('pretrained'), quick_gelu=encoder.get('quick_gelu', False))
    start.init_weights()
    model = MODELS.build(cfg.model)
    load_checkpoint(model, str(checkpoint), map_location='cpu')
    trained = model.decode_head.text.tower if 'adapter' in encoder else start
    texts = [encoder.templates[0].format(name) for name in model.decode_head.vocabulary.names]
    before, after = (tower(texts, normalize=False) for tower in (start, trained))
    return dict(
        radius_before=radius(before).mean().item(),
        radius_after=radius(after).mean().item(),
        angle=angle(before, after).mean().item(),
    )


def angle(one: Tensor, other: Tensor) -> Tensor:
    """Return the angles between vectors (N, D) in degrees, (N,)."""
    return cosine_similarity(one.double(), other.double()).clamp(-1, 1).acos().rad2deg()


def run(args: argparse.Namespace, variant: str, seed: int, words: tuple[Path, Path]) -> dict[str, Any]:
    """Train a variant; return its figures."""
    cfg, folder = configure(args, variant, seed, words), args.work_dir / f'{variant}_{seed}'
    found = parts.train(cfg, folder, FIGURES[args.data])
    newest = (folder / 'last_checkpoint').read_text().strip()
    compared = compare_words(cfg, Path(newest))
    return dict(variant=variant, seed=seed, parameters=cfg.study['parameters']) | found | compared


def print_table(rows: list[dict[str, Any]], data: str) -> None:
    """Print the table, a row for every variant."""
    columns = ['adapter', 'parameters', *TITLES[data], 'radius before', 'radius after', 'angle', 'seeds']
    print(f'| {" | ".join(columns)} |\n|{"---|" * len(columns)}')
    for variant in VARIANTS:
        if found := [row for row in rows if row['variant'] == variant]:
            figures = [parts.mean_and_range([row[key] for row in found], 1) for key in FIGURES[data]]
            radii = [parts.mean_and_range([row[f'radius_{when}'] for row in found], 2) for when in ('before', 'after')]
            turned = parts.mean_and_range([row['angle'] for row in found], 1)
            cells = [variant, f'{found[0]["parameters"]:,}', *figures, *radii, turned, str(len(found))]
            print(f'| {" | ".join(cells)} |')


def main() -> None:
    """Train the variants that have no results yet, then print the table."""
    args = parse_args()
    init_default_scope('mmseg')
    args.work_dir.mkdir(parents=True, exist_ok=True)
    words, table = parts.write_bare_taxonomy(args.work_dir), args.work_dir / 'results.jsonl'
    rows = [json.loads(line) for line in table.read_text().splitlines()] if table.exists() else []
    for seed in args.seeds:
        for variant in args.variants:
            if any((row['variant'], row['seed']) == (variant, seed) for row in rows):
                continue
            rows.append(run(args, variant, seed, words))
            with table.open('a') as file:
                file.write(json.dumps(rows[-1]) + '\n')
    print_table(rows, args.data)


if __name__ == '__main__':
    main()
