"""Convert WSISEG (whole-sky fisheye; Xie et al. 2020).

Layout: ``whole sky images/NAME`` and ``annotation/NAME``, PNG files without or with a suffix. Annotations hold
0 outside the dome and on the sun, 100 clear sky, 255 cloud. The licence of the set is not stated: do not
redistribute it.

    python tools/dataset_converters/wsiseg.py SOURCE data/wsiseg
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from conversion import IGNORE, Refused, Sample, files_by_stem, main, need_folder, read_gray

# The numbers of the pictures follow the time: neighbours are nearly the same picture and stay together.
BLOCK = 20
LABELS = {0: IGNORE, 100: 0, 255: 1}


def find(source: Path, args: argparse.Namespace) -> list[Sample]:
    """List the pictures; their groups are blocks of neighbours."""
    images = files_by_stem(need_folder(source, 'whole sky images', 'images', name='WSISEG'))
    masks = files_by_stem(need_folder(source, 'annotation', 'annotations', name='WSISEG'))
    return [
        Sample(stem, image, masks.get(stem), f'block {i // BLOCK:03d}')
        for i, (stem, image) in enumerate(images.items())
    ]


def read_labels(sample: Sample, args: argparse.Namespace, shape: tuple[int, int]) -> np.ndarray:
    """Read the annotation."""
    annotation = read_gray(sample.mask)
    if strangers := sorted(set(np.unique(annotation).tolist()) - set(LABELS)):
        raise Refused(f'the annotation holds {strangers[:8]}, expected only {sorted(LABELS)}')
    table = np.zeros(256, np.uint8)
    table[list(LABELS)] = list(LABELS.values())
    return table[annotation]


if __name__ == '__main__':
    sys.exit(main('WSISEG', find, read_labels))
