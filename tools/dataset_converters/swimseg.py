"""Convert SWIMSEG: patches of the sky by day, 600x600, from a sky camera in Singapore.

python tools/dataset_converters/swimseg.py SWIMSEG data/swimseg

Dev, Lee, Winkler: Color-based segmentation of sky/cloud images from ground-based cameras, IEEE
JSTARS 2017. Some images occur twice, with two annotations. Copies share their capture day, and a
day is never divided between splits.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from conversion import main
from images import CLEAR_SKY, CLOUD, read_exact
from layout import DataSet, Sample, capture_days, list_images, pair_up

MEANING = {0: CLEAR_SKY, 255: CLOUD}


def has_layout(root: Path, options: argparse.Namespace) -> bool:
    """Return whether a folder has the layout of SWIMSEG."""
    folders = (root / 'images').is_dir() and (root / 'GTmaps').is_dir()
    return folders and (root / 'metadata.csv').is_file()


def list_samples(root: Path, options: argparse.Namespace) -> list[Sample]:
    """List images with their masks, in groups by capture day."""
    return pair_up(
        list_images(root / 'images'),
        list_images(root / 'GTmaps'),
        mask_ending='_GT',
        group=capture_days(root / 'metadata.csv'),
    )


def read_mask(sample: Sample, shape: tuple[int, int], options: argparse.Namespace) -> np.ndarray:
    """Read a mask."""
    return read_exact(sample.mask, MEANING)


SWIMSEG = DataSet(
    name='SWIMSEG',
    layout='images/NNNN.png, GTmaps/NNNN_GT.png (0 sky, 255 cloud), metadata.csv (Number, Date)',
    has_layout=has_layout,
    list_samples=list_samples,
    read_mask=read_mask,
)

if __name__ == '__main__':
    sys.exit(main(SWIMSEG))
