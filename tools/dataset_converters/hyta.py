"""Convert HYTA: 32 images of the sky in different sizes.

python tools/dataset_converters/hyta.py HYTA data/hyta --ground-truth 3GT --thin-cloud ignore

Li, Lu, Yang: A hybrid thresholding algorithm for cloud detection on ground-based color images,
JTECH 2011 (two classes); Dev, Lee, Winkler: Multi-level semantic labeling of sky/cloud images,
ICIP 2015 (three classes).
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from conversion import main
from images import CLEAR_SKY, CLOUD, IGNORE, read_exact, read_thresholded
from layout import DataSet, Sample, list_images, pair_up

MASK_ENDINGS = {'2GT': '_GT', '3GT': '_3GT'}
THIN_CLOUD = {'cloud': CLOUD, 'ignore': IGNORE, 'sky': CLEAR_SKY}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the ground truth."""
    parser.add_argument(
        '--ground-truth',
        choices=list(MASK_ENDINGS),
        default='2GT',
        help='sky and cloud, or sky, thin and thick cloud (default 2GT)',
    )
    parser.add_argument(
        '--thin-cloud',
        choices=list(THIN_CLOUD),
        default='cloud',
        help='label of the thin cloud of 3GT (default cloud)',
    )


def has_layout(root: Path, options: argparse.Namespace) -> bool:
    """Return whether a folder has the layout of HYTA."""
    return (root / 'images').is_dir() and (root / options.ground_truth).is_dir()


def list_samples(root: Path, options: argparse.Namespace) -> list[Sample]:
    """List images with their masks; no groups are known."""
    return pair_up(
        list_images(root / 'images'),
        list_images(root / options.ground_truth),
        mask_ending=MASK_ENDINGS[options.ground_truth],
    )


def read_mask(sample: Sample, shape: tuple[int, int], options: argparse.Namespace) -> np.ndarray:
    """Read a mask: 2GT is JPEG, dark for sky and bright for cloud; 3GT has exact values."""
    if options.ground_truth == '2GT':
        return read_thresholded(sample.mask)
    return read_exact(sample.mask, {0: CLEAR_SKY, 126: THIN_CLOUD[options.thin_cloud], 255: CLOUD})


HYTA = DataSet(
    name='HYTA',
    layout='images/NAME.jpg with 2GT/NAME_GT.jpg (dark sky, bright cloud) or '
    '3GT/NAME_3GT.png (0 sky, 126 thin, 255 thick cloud)',
    has_layout=has_layout,
    list_samples=list_samples,
    read_mask=read_mask,
    add_options=add_options,
)

if __name__ == '__main__':
    sys.exit(main(HYTA))
