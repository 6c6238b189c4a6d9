"""Convert SWIMSEG (day, sky-camera patches; Dev, Lee and Winkler 2017).

Layout: ``images/NNNN.png``, ``GTmaps/NNNN_GT.png`` (0 sky, 255 cloud) and ``metadata.csv`` with a column Date.

    python tools/dataset_converters/swimseg.py SOURCE data/swimseg
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from conversion import LayoutError, Sample, binary_labels, files_by_stem, main, need_folder, read_gray, read_table


def find(source: Path, args: argparse.Namespace) -> list[Sample]:
    """List the pictures; their groups are the capture days."""
    images = files_by_stem(need_folder(source, 'images', name='SWIMSEG'))
    masks = files_by_stem(need_folder(source, 'GTmaps', name='SWIMSEG'))
    table = source / 'metadata.csv'
    if not table.is_file():
        raise LayoutError(f'{table} is missing: it holds the capture days, which splits must not divide')
    days = {row['Number']: row['Date'] for row in read_table(table, ',')}
    return [Sample(stem, image, masks.get(f'{stem}_GT'), days.get(stem, 'unknown')) for stem, image in images.items()]


def read_labels(sample: Sample, args: argparse.Namespace, shape: tuple[int, int]) -> np.ndarray:
    """Read the mask."""
    return binary_labels(read_gray(sample.mask))


if __name__ == '__main__':
    sys.exit(main('SWIMSEG', find, read_labels))
