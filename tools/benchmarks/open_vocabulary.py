"""Test a checkpoint on the sets of open vocabularies, and print the row of the table in docs/hyperclip.md.

python tools/benchmarks/open_vocabulary.py --model catseg_vitb16_384 --checkpoint catseg_vitb16.pth --sets ade150 pc59

Checkpoints are those of this library; tools/model_converters/ makes them from released ones. Sets that are not on this
machine are named with the folder where they are expected and what writes them, and the others are tested.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from mmengine.config import Config

from hyperbolic_seg.engine import build_runner, parse_cfg_options

ROOT = Path(__file__).resolve().parents[2]
SETS = {
    # name: (title, what writes it)
    'ade847': ('A-847', 'python tools/dataset_converters/ade20k_full.py data/ADE20K_2021_17_01 data/ade20k_full'),
    'pc459': (
        'PC-459',
        'python tools/dataset_converters/pascal_context459.py data/VOCdevkit/VOC2010 data/pascal_context459',
    ),
    'ade150': ('A-150', "MMSegmentation's documentation of data sets, section ADE20K"),
    'pc59': ('PC-59', "MMSegmentation's documentation of data sets, section Pascal Context"),
    'voc20': ('PAS-20', "MMSegmentation's documentation of data sets, section Pascal VOC"),
    'voc20b': ('PAS-20b', "MMSegmentation's documentation of data sets, section Pascal VOC"),
}
# mIoU in percent, as published: CAT-Seg by its authors (CVPR 2024), HyperCLIP as listed by HyRo (CVPR 2026).
PUBLISHED: dict[str, dict[str, float]] = {
    'catseg_vitb16_384': dict(ade847=12.0, pc459=19.0, ade150=31.8, pc59=57.5, voc20=94.6, voc20b=77.3),
    'catseg_vitl14_336': dict(ade847=16.0, pc459=23.8, ade150=37.9, pc59=63.3, voc20=97.0, voc20b=82.5),
    'hyperclip_vitb16_384': dict(ade847=11.9, pc459=18.2, ade150=31.7, pc59=57.1, voc20=94.9, voc20b=77.1),
    'hyperclip_vitl14_336': {},
}


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', required=True, choices=PUBLISHED)
    parser.add_argument('--checkpoint', required=True, type=Path)
    parser.add_argument('--sets', nargs='+', choices=SETS, default=list(SETS))
    parser.add_argument('--work-dir', default='work_dirs/open_vocabulary', help='folder of the logs')
    parser.add_argument('--cfg-options', nargs='+', help='changes to every config, key=value')
    return parser.parse_args()


def missing_paths(cfg: Config) -> list[Path]:
    """Return the files and folders of the test set of a config that are not there."""
    dataset = cfg.test_dataloader.dataset
    root = Path(dataset.data_root)
    parts = [*dataset.get('data_prefix', dict(img_path='images', seg_map_path='masks')).values()]
    parts += [dataset.ann_file] if dataset.get('ann_file') else []
    # A vocabulary may be a file among the data, and is read before any image.
    named = [Path(v) for v in (cfg.model.decode_head.vocabulary,) if isinstance(v, str) and v.endswith('.yaml')]
    return [path for path in (*(root / part for part in parts), *named) if not path.exists()]


def test(cfg: Config, checkpoint: Path, work_dir: Path) -> float:
    """Return the mIoU in percent of a checkpoint under a config."""
    cfg.work_dir, cfg.load_from = str(work_dir), str(checkpoint)
    metrics: dict[str, Any] = build_runner(cfg).test()
    return float(metrics['mIoU'])


def table(model: str, found: dict[str, float]) -> str:
    """Return a Markdown table of the published and the found mIoU."""
    rows = ['| set | published | here |', '|---|---|---|']
    for name, (title, _) in SETS.items():
        published = PUBLISHED[model].get(name)
        here = f'{found[name]:.1f}' if name in found else ''
        rows.append(f'| {title} | {"" if published is None else published} | {here} |')
    return '\n'.join(rows)


def main() -> int:
    """Run the benchmark; return the exit code, 1 if a set is missing."""
    args = parse_args()
    if not args.checkpoint.is_file():
        print(f'error: no checkpoint {args.checkpoint}', file=sys.stderr)
        return 2
    found = {}
    for name in args.sets:
        cfg = Config.fromfile(ROOT / 'configs' / args.model.split('_')[0] / f'{args.model}_{name}.py')
        cfg.merge_from_dict(parse_cfg_options(args.cfg_options))
        if missing := missing_paths(cfg):
            expected = ', '.join(map(str, missing))
            print(f'{SETS[name][0]} is not here: expected {expected}; see {SETS[name][1]}', file=sys.stderr)
            continue
        found[name] = test(cfg, args.checkpoint, Path(args.work_dir) / f'{args.model}_{name}')
    print(f'mIoU in percent, {args.model}, {args.checkpoint}\n\n{table(args.model, found)}')
    return 0 if len(found) == len(args.sets) else 1


if __name__ == '__main__':
    sys.exit(main())
