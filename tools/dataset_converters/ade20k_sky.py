"""Convert ADE20K to sky against what stands in front of it.

python tools/dataset_converters/ade20k_sky.py ADEChallengeData2016 data/ade20k_sky

Zhou et al.: Scene parsing through ADE20K dataset, CVPR 2017. SOURCE is the scene parsing benchmark, with
images/training/NAME.jpg and annotations/training/NAME.png (0 other, 1 to 150 in the order of the vocabulary 'ade20k'),
and the same for validation. Pictures with less than a hundredth of sky, such as those of rooms, are left out.

Buildings, plants, land and water, and slender things get the kinds of obstruction of the vocabulary 'sky', and the sky
the label set of clear sky, cloud, sun and moon. What is none of these, such as people and cars, is an obstruction of
no named kind, and pixels of no class are ignored.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from errors import Refused, UsageError
from images import IGNORE, read_exact
from label_sets import convert_each, exit_code, read_pair
from nodes import BUILDING, OBSTRUCTION, SKY, STRUCTURE, TERRAIN, TREE
from writing import prepare

LEAST_SKY = 0.01  # share of a picture
SIDES = {'training': 'train', 'validation': 'val'}
KINDS = {
    SKY: {3: 'sky'},
    BUILDING: {
        1: 'wall', 2: 'building', 9: 'windowpane', 15: 'door', 26: 'house', 43: 'column', 49: 'skyscraper',
        80: 'hovel', 85: 'tower', 87: 'awning', 89: 'booth', 107: 'canopy',
    },
    TREE: {5: 'tree', 18: 'plant', 67: 'flower', 73: 'palm'},
    TERRAIN: {
        7: 'road', 10: 'grass', 12: 'sidewalk', 14: 'earth', 17: 'mountain', 22: 'water', 27: 'sea', 30: 'field',
        35: 'rock', 47: 'sand', 53: 'path', 55: 'runway', 61: 'river', 69: 'hill', 92: 'dirt track', 95: 'land',
        110: 'swimming pool', 114: 'waterfall', 129: 'lake',
    },
    STRUCTURE: {
        33: 'fence', 39: 'railing', 44: 'signboard', 62: 'bridge', 88: 'streetlight', 91: 'airplane', 94: 'pole',
        96: 'bannister', 137: 'traffic light', 141: 'pier', 150: 'flag',
    },
}  # fmt: skip
"""Numbers and names of the classes by the id that they get."""
MEANING = {0: IGNORE} | dict.fromkeys(range(1, 151), OBSTRUCTION)
MEANING |= {number: kind for kind, classes in KINDS.items() for number in classes}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='the unpacked ADEChallengeData2016')
    parser.add_argument('out', type=Path)
    parser.add_argument('--size', type=int, metavar='N', help='scale so that the longer side is N pixels')
    parser.add_argument('--overwrite', action='store_true', help='replace what was made with other options')
    return parser.parse_args()


def shows_sky(mask: Path) -> bool:
    """Return whether a picture shows enough sky by its annotation, or whether that cannot be read."""
    try:
        return bool((read_exact(mask, MEANING) == SKY).mean() >= LEAST_SKY)
    except Refused:
        return True  # the conversion says why


def convert(args: argparse.Namespace) -> list[str]:
    """Convert the pictures of both sides that show sky; return why any were refused.

    Raises:
        UsageError: The source lacks them, or OUT was made with other options.
    """
    masks = {side: sorted((args.source / 'annotations' / side).glob('*.png')) for side in SIDES}
    if not any(masks.values()):
        raise UsageError(f'no annotations in {args.source}: expected annotations/training/NAME.png, and images beside')
    prepare(args.out, dict(data_set='ADE20K, sky', size=args.size), overwrite=args.overwrite)
    refused = []
    for side, files in masks.items():
        chosen = {file.stem: file for file in files if shows_sky(file)}

        def read(
            stem: str, side: str = side, chosen: dict[str, Path] = chosen
        ) -> tuple[bytes | np.ndarray, np.ndarray]:
            image = args.source / 'images' / side / f'{stem}.jpg'
            return read_pair(image, read_exact(chosen[stem], MEANING), args.size)

        name = f'ADE20K, {side}'
        refused += convert_each(name, list(chosen), read, args.out, split=SIDES[side], overwrite=args.overwrite)
        print(f'{len(files) - len(chosen)} pictures of {side} without sky left out')
    return refused


if __name__ == '__main__':
    sys.exit(exit_code(convert, parse_args()))
