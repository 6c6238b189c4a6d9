"""Convert SkyFinder: webcams by day and night, in all weathers, with one mask of the sky for each camera.

python tools/dataset_converters/skyfinder.py SKYFINDER data/skyfinder --val-fraction 0.2

Mihail, Workman, Bessinger, Jacobs: Sky segmentation in the wild: an empirical study, WACV 2016; on Zenodo as record
5884485. SOURCE holds a folder of pictures for every camera, named by its number, such
as 10066/20130110_124634.jpg, in itself or in images/, and masks/10066.png, white for sky. That is how projects lay it
out that train on it, such as ArnaudPoletto/lipid-daylit-sky-categorization, and it is not described elsewhere.

White becomes the label set of clear sky, cloud, sun and moon, and black obstruction. A camera is never divided between
splits. Pictures of another size than their mask are refused.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from conversion import main
from images import CLOUD, read_thresholded
from layout import DataSet, Sample, list_images
from nodes import OBSTRUCTION, SKY

MASKS = 'masks'


def cameras(root: Path) -> list[Path]:
    """Return the folders of the cameras, which are named by a number."""
    folders = [path for parent in (root, root / 'images') if parent.is_dir() for path in sorted(parent.iterdir())]
    return [path for path in folders if path.is_dir() and path.name.isdecimal()]


def has_layout(root: Path, options: argparse.Namespace) -> bool:
    """Return whether a folder has the layout of SkyFinder."""
    return (root / MASKS).is_dir() and bool(cameras(root))


def list_samples(root: Path, options: argparse.Namespace) -> list[Sample]:
    """List the pictures of every camera, which is their group."""
    samples = []
    for folder in cameras(root):
        mask = root / MASKS / f'{folder.name}.png'
        problem = '' if mask.is_file() else f'there is no mask {MASKS}/{mask.name}'
        samples += [
            Sample(f'{folder.name}_{path.stem}', path, mask, folder.name, problem=problem)
            for path in list_images(folder)
        ]
    return samples


def read_mask(sample: Sample, shape: tuple[int, int], options: argparse.Namespace) -> np.ndarray:
    """Read the mask of the camera."""
    return np.where(read_thresholded(sample.mask) == CLOUD, SKY, OBSTRUCTION).astype(np.uint8)


SKYFINDER = DataSet(
    name='SkyFinder',
    layout='CAMERA/NAME.jpg, or images/CAMERA/NAME.jpg, and masks/CAMERA.png (white sky), where CAMERA is a number',
    has_layout=has_layout,
    list_samples=list_samples,
    read_mask=read_mask,
)

if __name__ == '__main__':
    sys.exit(main(SKYFINDER))
