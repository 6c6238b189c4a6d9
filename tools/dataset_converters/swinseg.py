"""Convert SWINSEG (night, sky-camera patches; Dev et al. 2017).

Layout: ``images/NNN.jpg``, ``GTmaps/NNN_GT.jpg`` (JPEG: cloud is 128 and above) and ``metadata.txt``, separated by
tabs, with a column Date.

    python tools/dataset_converters/swinseg.py SOURCE data/swinseg
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from conversion import LayoutError, Sample, binary_labels, files_by_stem, main, need_folder, read_gray, read_table


def find(source: Path, args: argparse.Namespace) -> list[Sample]:
    """List the pictures; their groups are the capture days."""
    images = files_by_stem(need_folder(source, 'images', name='SWINSEG'))
    masks = files_by_stem(need_folder(source, 'GTmaps', name='SWINSEG'))
    table = source / 'metadata.txt'
    if not table.is_file():
        raise LayoutError(f'{table} is missing: it holds the capture days, which splits must not divide')
    days = {row['Number'].zfill(3): row['Date'] for row in read_table(table, '\t')}
    return [Sample(stem, image, masks.get(f'{stem}_GT'), days.get(stem, 'unknown')) for stem, image in images.items()]


def read_labels(sample: Sample, args: argparse.Namespace, shape: tuple[int, int]) -> np.ndarray:
    """Read the mask."""
    return binary_labels(read_gray(sample.mask))


if __name__ == '__main__':
    sys.exit(main('SWINSEG', find, read_labels))
