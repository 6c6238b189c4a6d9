"""Compare baseline, hyperbolic and Euclidean heads on SWIMSEG, on held-out capture days and for the same budget.

    python tools/benchmarks/swimseg.py DATA_ROOT --work-dir work_dirs/benchmark_swimseg

DATA_ROOT is the output of tools/dataset_converters/swimseg.py, or a folder with images/, masks/ (0 sky, 1 cloud, 255
ignore) and the metadata.csv of SWIMSEG. Four whole capture days are held out. Figures are those of the last epoch, so
no checkpoint is chosen on the held-out images. Training steps are timed in one run, in turn, on equal batches.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

TOOLS = Path(__file__).resolve().parents[1]
HELD_OUT = ('20140623', '20140626', '20140929', '20150529')  # a fifth of the development images
VARIANTS = {
    'U-Net, FCN head': ('unet_cloud_swimseg.py', {}),
    'HyperCLIP, distance': ('hyperclip_unet_cloud_swimseg.py', {'model.decode_head.logits': 'distance'}),
    'HyperCLIP, MLR': ('hyperclip_unet_cloud_swimseg.py', {'model.decode_head.logits': 'mlr'}),
    'HyperCLIP, cosine (Euclidean)': ('hyperclip_unet_cloud_swimseg.py', {'model.decode_head.logits': 'cosine'}),
    'Hyperbolic U-Net': ('hyperbolic_unet_cloud_swimseg.py', {}),
}
BASELINE = 'U-Net, FCN head'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data_root', type=Path)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/benchmark_swimseg'))
    parser.add_argument('--epochs', type=int, default=30)
    parser.add_argument('--seed', type=int, default=0, help='seed of the training; the split does not depend on it')
    parser.add_argument('--timed-steps', type=int, default=25, help='number of timed training steps of each variant')
    parser.add_argument('--only-timing', action='store_true', help='time training steps without training the models')
    parser.add_argument('--variants', nargs='+', choices=VARIANTS, default=list(VARIANTS), help='beside the baseline')
    args = parser.parse_args()
    args.variants = [name for name in VARIANTS if name in args.variants or name == BASELINE]
    return args


def write_split(data_root: Path, folder: Path) -> dict[str, int]:
    """Split by capture day; return the number of images on each side."""
    present = {path.stem for path in (data_root / 'images').iterdir()}
    converted = (data_root / 'conversion.csv').is_file()
    table, stem, day = ('conversion.csv', 'stem', 'group') if converted else ('metadata.csv', 'Number', 'Date')
    with (data_root / table).open() as file:
        days = {row[stem]: row[day] for row in csv.DictReader(file) if row[stem] in present}
    folder.mkdir(parents=True, exist_ok=True)
    sides = {
        'train': [stem for stem in sorted(days) if days[stem] not in HELD_OUT],
        'val': [stem for stem in sorted(days) if days[stem] in HELD_OUT],
    }
    for side, stems in sides.items():
        (folder / f'{side}.txt').write_text('\n'.join(stems) + '\n')
    print(f'held-out days: {", ".join(HELD_OUT)}')
    return {side: len(stems) for side, stems in sides.items()}


def overrides(args: argparse.Namespace, variant: dict) -> dict:
    """Return the settings of the config to override, by their dotted names."""
    suffix = next((args.data_root / 'images').iterdir()).suffix
    found = {f'param_scheduler.1.{key}': args.epochs for key in ('T_max', 'end')}
    found |= {'train_cfg.max_epochs': args.epochs, 'train_cfg.val_interval': 10, 'randomness.seed': args.seed}
    for name, side in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        dataset = f'{name}_dataloader.dataset'
        split = (args.work_dir / 'splits' / f'{side}.txt').resolve()
        root = args.data_root.resolve()
        found |= {f'{dataset}.data_root': root, f'{dataset}.img_suffix': suffix, f'{dataset}.ann_file': split}
    return {key: str(value) for key, value in (found | variant).items()}


def train(name: str, args: argparse.Namespace) -> dict[str, float]:
    """Train one variant with tools/train.py; return the metrics of the last epoch."""
    config, variant = VARIANTS[name]
    work_dir = args.work_dir / f'{name.lower().replace(" ", "_").replace(",", "")}_seed{args.seed}'
    given = [f'{key}={value}' for key, value in overrides(args, variant).items()]
    command = [sys.executable, str(TOOLS / 'train.py'), str(TOOLS.parent / 'configs' / config)]
    subprocess.run([*command, '--work-dir', str(work_dir), '--cfg-options', *given], check=True)
    newest = max(work_dir.rglob('scalars.json'), key=lambda path: path.stat().st_mtime)
    lines = [json.loads(line) for line in newest.read_text().splitlines()]
    return [line for line in lines if 'mIoU' in line][-1]


def time_steps(args: argparse.Namespace) -> dict[str, list[float]]:
    """Return seconds of training steps by variant, run in turn on one batch of the size in the config."""
    init_default_scope('mmseg')
    models, times = {}, {name: [] for name in args.variants}
    for name in args.variants:
        config, variant = VARIANTS[name]
        cfg = Config.fromfile(TOOLS.parent / 'configs' / config)
        cfg.merge_from_dict(variant)
        model = MODELS.build(cfg.model)
        model.init_weights()
        model.train().to(memory_format=torch.channels_last)
        models[name] = (model, torch.optim.AdamW(model.parameters(), lr=1e-3))
        size, batch = cfg.crop_size, cfg.batch_size
    images = torch.randn(batch, 3, *size)
    labels = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 2, (1, *size)))) for _ in range(batch)]
    for step in range(args.timed_steps + 3):
        for name, (model, optimizer) in models.items():
            start = time.perf_counter()
            loss = model.loss(images, labels)['decode.loss_ce']
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step >= 3:
                times[name].append(time.perf_counter() - start)
    return times


def main() -> None:
    """Train and time the variants, then print the table in Markdown."""
    args = parse_args()
    sides = write_split(args.data_root, args.work_dir / 'splits')
    print(f'{sides}, {args.epochs} epochs, seed {args.seed}, {torch.get_num_threads()} threads')
    results = {} if args.only_timing else {name: train(name, args) for name in args.variants}
    times = time_steps(args)
    base = times[BASELINE]
    print('| model | mIoU | IoU clear sky | IoU cloud | accuracy | step, s (quartiles) | step / baseline |')
    print('|---|---|---|---|---|---|---|')
    for name, taken in times.items():
        low, middle, high = statistics.quantiles(taken, n=4)
        ratio = statistics.median(t / b for t, b in zip(taken, base, strict=True))
        row = results.get(name, {})
        figures = [row.get(key, float('nan')) for key in ('mIoU', 'IoU/clear sky', 'IoU/cloud', 'aAcc')]
        shown = ' | '.join(f'{figure:.2f}' for figure in figures)
        print(f'| {name} | {shown} | {middle:.3f} ({low:.3f} to {high:.3f}) | {ratio:.2f} |')


if __name__ == '__main__':
    main()
