"""Convert HRC_WHU: satellite images of the ground and the clouds above it, 1280x720.

python tools/dataset_converters/hrc_whu.py HRC_WHU data/hrc_whu

Li et al.: Deep learning based cloud detection for medium and high resolution remote sensing images
of different sensors, ISPRS Journal 2019. Seen from above: label 0, clear sky elsewhere, is here the
ground that no cloud hides.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from conversion import main
from errors import Refused
from images import CLEAR_SKY, CLOUD, read_exact
from layout import DataSet, Sample, list_images, pair_up

MASK_ENDING = '_ReferenceMask'


def has_layout(root: Path, options: argparse.Namespace) -> bool:
    """Return whether a folder has the layout of HRC_WHU."""
    return any(path.stem.endswith(MASK_ENDING) for path in list_images(root))


def list_samples(root: Path, options: argparse.Namespace) -> list[Sample]:
    """List images with their masks; no groups are known."""
    files = list_images(root)
    masks = [path for path in files if path.stem.endswith(MASK_ENDING)]
    images = [path for path in files if not path.stem.endswith(MASK_ENDING)]
    return pair_up(images, masks, mask_ending=MASK_ENDING)


def read_mask(sample: Sample, shape: tuple[int, int], options: argparse.Namespace) -> np.ndarray:
    """Read a mask, in which cloud is either 255 or 1.

    Raises:
        Refused: It has both, so one of them must have another meaning.
    """
    one, full = 1, 2
    labels = read_exact(sample.mask, {0: CLEAR_SKY, 1: one, 255: full})
    if one in labels and full in labels:
        raise Refused(f'{sample.mask.name} has both 1 and 255, expected one of them for cloud')
    return np.where(labels == CLEAR_SKY, CLEAR_SKY, CLOUD).astype(np.uint8)


HRC_WHU = DataSet(
    name='HRC_WHU',
    layout=f'NAME.tif beside NAME{MASK_ENDING}.tif (0 ground, 255 or 1 cloud)',
    has_layout=has_layout,
    list_samples=list_samples,
    read_mask=read_mask,
)

if __name__ == '__main__':
    sys.exit(main(HRC_WHU))
