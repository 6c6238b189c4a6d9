"""Convert pictures of street canyons through a telephone's fisheye lens: sky against not sky.

python tools/dataset_converters/fisheye_obstruction.py fisheye_obstruction data/fisheye_obstruction

The pictures of huahaohuahao/high-quality-fisheye-sky-image-dataset, for academic use, with masks that hold 0 for sky of
any kind, 1 for not sky (houses and trees) and 255 outside the dome. Labels become "clear sky, cloud, sun or moon",
obstruction, and outside the lens.

The set is for judging. Its pictures follow one walk along a street, so that neighbors show the same houses. The halves
divide them between two houses, and are in tools/benchmarks/splits: "choosing" to compare models and settings by, and
"last_look" for the one that is chosen.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from errors import UsageError
from images import read_exact, read_file
from label_sets import convert_each, exit_code
from nodes import OBSTRUCTION, OUTSIDE_THE_LENS, SKY
from writing import prepare

MEANING = {0: SKY, 1: OBSTRUCTION, 255: OUTSIDE_THE_LENS}
HALVES = ('choosing', 'last_look')
SPLITS = Path(__file__).resolve().parents[1] / 'benchmarks' / 'splits' / 'fisheye_obstruction'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='folder with images/NAME.jpg and masks/NAME.png')
    parser.add_argument('out', type=Path)
    parser.add_argument('--overwrite', action='store_true', help='replace what was made with other options')
    return parser.parse_args()


def convert(args: argparse.Namespace) -> list[str]:
    """Convert the pictures of both halves; return why any were refused.

    Raises:
        UsageError: The source does not have the layout, or OUT was made with other options.
    """
    folder = args.source / 'images'
    there = {path.stem for path in folder.glob('*.jpg')}
    if not there:
        raise UsageError(f'no picture in {folder}: expected images/NAME.jpg and masks/NAME.png')
    halves = {half: (SPLITS / f'{half}.txt').read_text(encoding='utf-8').split() for half in HALVES}
    if unknown := sorted(there.difference(*halves.values())):
        raise UsageError(f'{len(unknown)} pictures are in no half, such as {unknown[0]}: expected the original names')
    prepare(args.out, dict(data_set='fisheye_obstruction'), overwrite=args.overwrite)

    def read(stem: str) -> tuple[bytes, np.ndarray]:
        image = read_file(folder / f'{stem}.jpg')
        return image, read_exact(args.source / 'masks' / f'{stem}.png', MEANING)

    refused = []
    for half, stems in halves.items():
        name = f'fisheye_obstruction, {half}'
        refused += convert_each(name, stems, read, args.out, split=half, overwrite=args.overwrite)
    return refused


if __name__ == '__main__':
    sys.exit(exit_code(convert, parse_args()))
