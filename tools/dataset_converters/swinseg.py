"""Convert SWINSEG: patches of the sky by night, 500x500, from a sky camera in Singapore.

python tools/dataset_converters/swinseg.py SWINSEG data/swinseg

Dev, Savoy, Lee, Winkler: Nighttime sky/cloud image segmentation, ICIP 2017. A capture day is never
divided between splits.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from conversion import main
from images import read_thresholded
from layout import DataSet, Sample, capture_days, list_images, pair_up


def has_layout(root: Path, options: argparse.Namespace) -> bool:
    """Return whether a folder has the layout of SWINSEG."""
    folders = (root / 'images').is_dir() and (root / 'GTmaps').is_dir()
    return folders and (root / 'metadata.txt').is_file()


def list_samples(root: Path, options: argparse.Namespace) -> list[Sample]:
    """List images with their masks, in groups by capture day."""
    return pair_up(
        list_images(root / 'images'),
        list_images(root / 'GTmaps'),
        mask_ending='_GT',
        group=capture_days(root / 'metadata.txt'),
    )


def read_mask(sample: Sample, shape: tuple[int, int], options: argparse.Namespace) -> np.ndarray:
    """Read a mask, which is a JPEG: values near 0 are sky, near 255 cloud."""
    return read_thresholded(sample.mask)


SWINSEG = DataSet(
    name='SWINSEG',
    layout='images/NNN.jpg, GTmaps/NNN_GT.jpg (dark sky, bright cloud), metadata.txt (Number, Date '
    'and others between tabs)',
    has_layout=has_layout,
    list_samples=list_samples,
    read_mask=read_mask,
)

if __name__ == '__main__':
    sys.exit(main(SWINSEG))
