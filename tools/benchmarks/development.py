"""Lay out the development sets, with splits that divide no capture day and no run of frames.

    python tools/benchmarks/development.py SETS data/development

SETS contains swimseg/, swinseg/, wsiseg/ (each with images/ and masks/: 0 clear sky, 1 cloud, 255 ignore) and ccsn/ (a
folder of images for each genus). OUT gets a folder of links for each set, label files with the genus of every image of
CCSN, and splits/train.txt and splits/val.txt. The splits are those in tools/benchmarks/splits.

--write-splits creates them. Images of one group stay on one side: those of a capture day (SWIMSEG by its metadata.csv,
SWINSEG by its metadata.txt, each in the folder of its set), blocks of consecutive images (WSISEG), and copies of one
image (CCSN). A set that has a split keeps it, but a group with any training image becomes training as a whole.
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'dataset_converters'))
from ccsn import NODES  # noqa: E402
from layout import capture_days  # noqa: E402
from splits import split_groups  # noqa: E402

SPLITS = HERE / 'splits'
BINARY = ('swimseg', 'swinseg', 'wsiseg')
SETS = (*BINARY, 'ccsn')
BLOCK = 20  # consecutive images of WSISEG that stay together
COPY = 0.04  # root mean square difference of thumbnails, 0 to 1, below which two images are copies


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, metavar='SETS', help='folder of the sets')
    parser.add_argument('out', type=Path, metavar='OUT', help='folder to create')
    parser.add_argument('--write-splits', action='store_true', help='first create the splits')
    args = parser.parse_args()
    if missing := [name for name in SETS if not (args.source / name).is_dir()]:
        parser.error(f'{args.source} lacks the folders {", ".join(missing)}')
    return args


def find_images(source: Path, name: str) -> dict[str, Path]:
    """Return the image files of a set by stem, sorted by stem; those of CCSN by genus first."""
    if name == 'ccsn':
        return {path.stem: path for genus in sorted(NODES) for path in sorted((source / name / genus).iterdir())}
    return {path.stem: path for path in sorted((source / name / 'images').iterdir())}


def groups(source: Path, name: str, paths: dict[str, Path]) -> dict[str, str]:
    """Return the group of every image; a group stays on one side of a split."""
    if name == 'ccsn':
        return copies(paths)
    if name == 'wsiseg':
        numbers = {stem: re.findall(r'[0-9]+', stem)[-1] for stem in paths}
        return {stem: f'{stem.removesuffix(number)}{int(number) // BLOCK}' for stem, number in numbers.items()}
    table = source / name / ('metadata.csv' if name == 'swimseg' else 'metadata.txt')
    if not table.is_file():
        raise SystemExit(f'{table} is missing: it comes with the set and has the day of every image')
    day_of = capture_days(table)
    return {stem: day_of(stem) for stem in paths}


def copies(paths: dict[str, Path]) -> dict[str, str]:
    """Return for every image the first one with almost the same thumbnail, which may be another encoding of it."""
    thumbnails = np.stack([_thumbnail(path) for path in paths.values()])
    stems, first = list(paths), {}
    for i, stem in enumerate(stems):
        same = np.flatnonzero(((thumbnails[:i] - thumbnails[i]) ** 2).mean(1) < COPY**2)
        first[stem] = first[stems[same[0]]] if same.size else stem
    return first


def _thumbnail(path: Path) -> np.ndarray:
    return cv2.resize(cv2.imread(str(path)), (16, 16), interpolation=cv2.INTER_AREA).ravel() / 255


def write_splits(source: Path) -> None:
    """Split every set, four fifths for training; existing splits are kept as far as groups allow."""
    for name in SETS:
        paths = find_images(source, name)
        together = groups(source, name, paths)
        held_out = SPLITS / name / 'val.txt'
        if held_out.is_file():
            kept = held_out.read_text().split()
            training = {together[stem] for stem in paths if stem not in kept}
            sides = {group: 'train' if group in training else 'val' for group in together.values()}
        else:
            strata = {group: group.split('-')[0] for group in together.values()} if name == 'ccsn' else None
            sides = split_groups(Counter(together.values()), val_fraction=0.2, strata=strata)
        (SPLITS / name).mkdir(parents=True, exist_ok=True)
        for side in ('train', 'val'):
            chosen = [stem for stem in paths if sides[together[stem]] == side]
            (SPLITS / name / f'{side}.txt').write_text('\n'.join(chosen) + '\n')


def lay_out(source: Path, out: Path, name: str) -> dict[str, int]:
    """Link the files of a set into a folder for GroundCloudDataset; return the number of images of each split."""
    for folder in ('images', 'masks', 'splits'):
        (out / folder).mkdir(parents=True, exist_ok=True)
    found = find_images(source, name)
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
            raise SystemExit(f'{name}: {len(absent)} images of the split {side} are missing, such as {absent[0]}')
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
