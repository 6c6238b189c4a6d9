"""Convert Cityscapes to sky against what stands in front of it.

python tools/dataset_converters/cityscapes_sky.py CITYSCAPES data/cityscapes_sky --size 1024

Cordts et al.: The Cityscapes dataset for semantic urban scene understanding, CVPR 2016. SOURCE holds
leftImg8bit/SIDE/CITY/NAME_leftImg8bit.png and gtFine/SIDE/CITY/NAME_gtFine_labelIds.png, where SIDE is train or val;
the test side has no labels. No city is on both sides.

The numbers are those of the authors' labels.py. Buildings, vegetation, the ground, and fences, poles and signs get the
kinds of obstruction of the vocabulary 'sky', and the sky the label set of clear sky, cloud, sun and moon. People and
vehicles are obstructions of no named kind. The hood of the car, the border and what is unlabeled are ignored.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from errors import UsageError
from images import IGNORE, read_exact
from label_sets import convert_each, exit_code, read_pair
from nodes import BUILDING, OBSTRUCTION, SKY, STRUCTURE, TERRAIN, TREE
from writing import prepare

SIDES = ('train', 'val')
KINDS = {
    IGNORE: {0: 'unlabeled', 1: 'ego vehicle', 2: 'rectification border', 3: 'out of roi'},
    TERRAIN: {6: 'ground', 7: 'road', 8: 'sidewalk', 9: 'parking', 10: 'rail track', 22: 'terrain'},
    BUILDING: {11: 'building', 12: 'wall'},
    STRUCTURE: {
        13: 'fence', 14: 'guard rail', 15: 'bridge', 16: 'tunnel', 17: 'pole', 18: 'polegroup', 19: 'traffic light',
        20: 'traffic sign',
    },
    TREE: {21: 'vegetation'},
    SKY: {23: 'sky'},
    OBSTRUCTION: {
        4: 'static', 5: 'dynamic', 24: 'person', 25: 'rider', 26: 'car', 27: 'truck', 28: 'bus', 29: 'caravan',
        30: 'trailer', 31: 'train', 32: 'motorcycle', 33: 'bicycle',
    },
}  # fmt: skip
"""Numbers and names of the labels by the id that they get."""
MEANING = {number: kind for kind, labels in KINDS.items() for number in labels}
MASK, IMAGE = '_gtFine_labelIds.png', '_leftImg8bit.png'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='folder with leftImg8bit and gtFine')
    parser.add_argument('out', type=Path)
    parser.add_argument('--size', type=int, metavar='N', help='scale so that the longer side is N pixels')
    parser.add_argument('--overwrite', action='store_true', help='replace what was made with other options')
    return parser.parse_args()


def convert(args: argparse.Namespace) -> list[str]:
    """Convert the pictures of both sides; return why any were refused.

    Raises:
        UsageError: The source lacks them, or OUT was made with other options.
    """
    masks = {side: sorted((args.source / 'gtFine' / side).glob(f'*/*{MASK}')) for side in SIDES}
    if not any(masks.values()):
        raise UsageError(f'no labels in {args.source}: expected gtFine/train/CITY/NAME{MASK}, and leftImg8bit beside')
    prepare(args.out, dict(data_set='Cityscapes, sky', size=args.size), overwrite=args.overwrite)
    refused = []
    for side, files in masks.items():
        chosen = {file.name.removesuffix(MASK): file for file in files}

        def read(
            stem: str, side: str = side, chosen: dict[str, Path] = chosen
        ) -> tuple[bytes | np.ndarray, np.ndarray]:
            mask = chosen[stem]
            image = args.source / 'leftImg8bit' / side / mask.parent.name / f'{stem}{IMAGE}'
            return read_pair(image, read_exact(mask, MEANING), args.size)

        name = f'Cityscapes, {side}'
        refused += convert_each(name, list(chosen), read, args.out, split=side, overwrite=args.overwrite)
    return refused


if __name__ == '__main__':
    sys.exit(exit_code(convert, parse_args()))
