"""Lay out the development sets for training and judging, with splits that keep capture days and runs of frames whole.

    python tools/benchmarks/development.py SETS data/development

SETS holds swimseg/, swinseg/, wsiseg/ (each with images/ and masks/: 0 clear sky, 1 cloud, 255 ignore) and ccsn/ (a
folder of pictures for each genus). OUT gets a folder of links for each set, label files with the genus of every CCSN
picture, and splits/train.txt and splits/val.txt. The splits are those in tools/benchmarks/splits.

--write-splits writes these. What stays together are the pictures of a capture day (SWIMSEG by its metadata.csv, SWINSEG
by its metadata.txt, which must lie in their folders), blocks of consecutive pictures (WSISEG) and copies of one picture
(CCSN). A set that has a split keeps it, but a group of which any picture is trained on is trained on as a whole.
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
BLOCK = 20  # consecutive pictures of WSISEG that stay together
COPY = 0.04  # root mean square difference of thumbnails, of 1, below which two pictures are one


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, metavar='SETS', help='folder with the sets')
    parser.add_argument('out', type=Path, metavar='OUT', help='folder to write')
    parser.add_argument('--write-splits', action='store_true', help='see above')
    args = parser.parse_args()
    if missing := [name for name in SETS if not (args.source / name).is_dir()]:
        parser.error(f'{args.source} lacks the folders {", ".join(missing)}')
    return args


def pictures(source: Path, name: str) -> dict[str, Path]:
    """Return the pictures of a set by stem, those of CCSN by genus and stem."""
    if name == 'ccsn':
        return {path.stem: path for genus in sorted(NODES) for path in sorted((source / name / genus).iterdir())}
    return {path.stem: path for path in sorted((source / name / 'images').iterdir())}


def groups(source: Path, name: str, paths: dict[str, Path]) -> dict[str, str]:
    """Return what every picture has to stay together with."""
    if name == 'ccsn':
        return copies(paths)
    if name == 'wsiseg':
        numbers = {stem: re.findall(r'[0-9]+', stem)[-1] for stem in paths}
        return {stem: f'{stem.removesuffix(number)}{int(number) // BLOCK}' for stem, number in numbers.items()}
    table = source / name / ('metadata.csv' if name == 'swimseg' else 'metadata.txt')
    if not table.is_file():
        raise SystemExit(f'{table} is missing: it comes with the set and has the day of every picture')
    day_of = capture_days(table)
    return {stem: day_of(stem) for stem in paths}


def copies(paths: dict[str, Path]) -> dict[str, str]:
    """Return for every picture the first one that looks the same, byte for byte or as another encoding of it."""
    thumbnails = np.stack([_thumbnail(path) for path in paths.values()])
    stems, first = list(paths), {}
    for i, stem in enumerate(stems):
        same = np.flatnonzero(((thumbnails[:i] - thumbnails[i]) ** 2).mean(1) < COPY**2)
        first[stem] = first[stems[same[0]]] if same.size else stem
    return first


def _thumbnail(path: Path) -> np.ndarray:
    return cv2.resize(cv2.imread(str(path)), (16, 16), interpolation=cv2.INTER_AREA).ravel() / 255


def write_splits(source: Path) -> None:
    """Divide every set, four fifths to train on; what is divided already keeps its sides as far as groups allow."""
    for name in SETS:
        paths = pictures(source, name)
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
