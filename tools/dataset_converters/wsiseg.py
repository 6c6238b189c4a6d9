"""Convert WSISEG: the whole sky through a fisheye lens, 480x450.

python tools/dataset_converters/wsiseg.py WSISEG data/wsiseg

Xie et al.: SegCloud: a novel cloud image segmentation model using a deep convolutional neural
network for ground-based all-sky-view camera observation, AMT 2020. The numbers of the images
follow time, so that neighbors look alike. Capture days are unknown: the numbering is cut into
blocks, and a block is never divided between splits.
"""

import argparse
import math
import re
import sys
from pathlib import Path

import numpy as np
from conversion import main
from errors import Refused
from images import CLEAR_SKY, CLOUD, IGNORE, read_exact
from layout import DataSet, Sample, list_images, pair_up

IMAGES, MASKS = 'whole sky images', 'annotation'
# 0 marks pixels outside the dome and the disk of the sun.
MEANING = {0: IGNORE, 100: CLEAR_SKY, 255: CLOUD}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the number of blocks."""
    explanation = 'number of blocks of consecutive images (default 20)'
    parser.add_argument('--blocks', type=_positive, default=20, metavar='N', help=explanation)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'must be a number from 1 on, got {text}')
    return int(text)


def has_layout(root: Path, options: argparse.Namespace) -> bool:
    """Return whether a folder has the layout of WSISEG."""
    return (root / IMAGES).is_dir() and (root / MASKS).is_dir()


def number_of(stem: str) -> int | None:
    """Return the number at the end of a name, which increases with time; None without one."""
    digits = re.search(r'[0-9]+$', stem)
    return int(digits.group()) if digits else None


def list_samples(root: Path, options: argparse.Namespace) -> list[Sample]:
    """List images with their masks, in groups of consecutive numbers, at least two in each."""
    images = list_images(root / IMAGES, bare_names=True)
    masks = list_images(root / MASKS, bare_names=True)
    found = (number_of(image.stem) for image in images)
    numbers = [number for number in found if number is not None]
    first, last = min(numbers, default=0), max(numbers, default=0)
    length = max(2, math.ceil((last - first + 1) / options.blocks))

    def block(stem: str) -> str:
        number = number_of(stem)
        if number is None:
            raise Refused(f'{stem} does not end in a number, so its position in time is unknown')
        start = number - (number - first) % length
        return f'{start:04d}-{min(start + length - 1, last):04d}'

    return pair_up(images, masks, group=block)


def read_mask(sample: Sample, shape: tuple[int, int], options: argparse.Namespace) -> np.ndarray:
    """Read a mask."""
    return read_exact(sample.mask, MEANING)


WSISEG = DataSet(
    name='WSISEG',
    layout=f'"{IMAGES}"/NAME_NNN and {MASKS}/NAME_NNN (0 ignore, 100 sky, 255 cloud)',
    has_layout=has_layout,
    list_samples=list_samples,
    read_mask=read_mask,
    add_options=add_options,
)

if __name__ == '__main__':
    sys.exit(main(WSISEG))
