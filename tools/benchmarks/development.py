"""Lay out the development sets for training and judging, with splits that keep capture days and runs of frames whole.

    python tools/benchmarks/development.py SETS data/development

SETS holds swimseg/, swinseg/, wsiseg/ (each with images/ and masks/: 0 clear sky, 1 cloud, 255 ignore) and ccsn/ (a
folder of pictures for each genus). OUT gets a folder of links for each set, label files with the genus of every CCSN
picture, and splits/train.txt and splits/val.txt. The splits are those in tools/benchmarks/splits, which
--write-splits makes anew: SWIMSEG by capture day, SWINSEG and WSISEG by blocks of consecutive pictures, CCSN by picture
within every genus.
"""

import argparse
import csv
import re
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'dataset_converters'))
from ccsn import NODES  # noqa: E402
from splits import split_groups  # noqa: E402

SPLITS = HERE / 'splits'
BINARY = ('swimseg', 'swinseg', 'wsiseg')
SETS = (*BINARY, 'ccsn')
BLOCKS = {'swinseg': 8, 'wsiseg': 20}  # consecutive pictures that stay together


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, metavar='SETS', help='folder with the sets')
    parser.add_argument('out', type=Path, metavar='OUT', help='folder to write')
    parser.add_argument('--write-splits', action='store_true', help='divide the pictures anew')
    args = parser.parse_args()
    if missing := [name for name in SETS if not (args.source / name).is_dir()]:
        parser.error(f'{args.source} lacks the folders {", ".join(missing)}')
    return args


def pictures(source: Path, name: str) -> dict[str, Path]:
    """Return the pictures of a set by stem, those of CCSN by genus and stem."""
    if name == 'ccsn':
        return {path.stem: path for genus in sorted(NODES) for path in sorted((source / name / genus).iterdir())}
    return {path.stem: path for path in sorted((source / name / 'images').iterdir())}


def groups(source: Path, name: str, stems: list[str]) -> dict[str, str]:
    """Return what every picture has to stay together with."""
    if name == 'swimseg':
        with (source / name / 'metadata.csv').open() as file:
            days = {row['Number']: row['Date'] for row in csv.DictReader(file)}
        return {stem: days[stem] for stem in stems}
    if name == 'ccsn':
        return {stem: stem for stem in stems}
    numbers = {stem: int(re.findall(r'\d+', stem)[-1]) for stem in stems}
    return {stem: f'{stem[: -len(re.findall(r"[0-9]+", stem)[-1])]}{n // BLOCKS[name]}' for stem, n in numbers.items()}


def write_splits(source: Path) -> None:
    """Divide every set, four fifths to train on."""
    for name in SETS:
        stems = list(pictures(source, name))
        together = groups(source, name, stems)
        strata = {group: group.split('-')[0] for group in together.values()} if name == 'ccsn' else None
        sides = split_groups(Counter(together.values()), val_fraction=0.2, strata=strata)
        (SPLITS / name).mkdir(parents=True, exist_ok=True)
        for side in ('train', 'val'):
            chosen = [stem for stem in stems if sides[together[stem]] == side]
            (SPLITS / name / f'{side}.txt').write_text('\n'.join(chosen) + '\n')


def lay_out(source: Path, out: Path, name: str) -> dict[str, int]:
    """Link a set's files into a folder as GroundCloudDataset reads it; return the pictures of every split."""
    for folder in ('images', 'masks', 'splits'):
        (out / folder).mkdir(parents=True, exist_ok=True)
    found = pictures(source, name)
    for stem, path in found.items():
        _link(path, out / 'images' / f'{stem}.jpg')
        mask = out / 'masks' / f'{stem}.png'
        if name != 'ccsn':
            _link(source / name / 'masks' / f'{stem}.png', mask)
        elif not mask.exists():
            shape = cv2.imread(str(path)).shape[:2]
            cv2.imwrite(str(mask), np.full(shape, NODES[path.parent.name], np.uint8))
    counts = {}
    for side in ('train', 'val'):
        stems = (SPLITS / name / f'{side}.txt').read_text().split()
        if absent := sorted(set(stems) - set(found)):
            raise SystemExit(f'{name}: {len(absent)} pictures of the split {side} are missing, such as {absent[0]}')
        (out / 'splits' / f'{side}.txt').write_text('\n'.join(stems) + '\n')
        counts[side] = len(stems)
    return counts


def _link(target: Path, link: Path) -> None:
    if not link.exists():
        link.symlink_to(target.resolve())


def main() -> None:
    """Lay out all sets."""
    args = parse_args()
    if args.write_splits:
        write_splits(args.source)
    for name in SETS:
        print(name, lay_out(args.source, args.out / name, name))


if __name__ == '__main__':
    main()
