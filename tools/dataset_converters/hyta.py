"""Convert HYTA (day, patches of different sizes; Li, Lu and Yang 2011).

Layout: ``images/B1.jpg``, ``2GT/B1_GT.jpg`` (JPEG: cloud is 128 and above), ``3GT/B1_3GT.png`` (0 sky, 126 thin
cloud, 255 thick cloud).

    python tools/dataset_converters/hyta.py SOURCE data/hyta --ground-truth 3GT --thin-cloud ignore
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from conversion import IGNORE, Refused, Sample, binary_labels, files_by_stem, main, need_folder, read_gray

THIN, THICK = 126, 255
THIN_LABELS = {'cloud': 1, 'sky': 0, 'ignore': IGNORE}


def options(parser: argparse.ArgumentParser) -> None:
    """Add what only HYTA has."""
    parser.add_argument('--ground-truth', choices=['2GT', '3GT'], default='2GT', help='two classes or three')
    parser.add_argument(
        '--thin-cloud', choices=list(THIN_LABELS), default='cloud', help='what thin cloud of 3GT becomes'
    )


def find(source: Path, args: argparse.Namespace) -> list[Sample]:
    """List the pictures; no day is known, so each is a group of its own."""
    images = files_by_stem(need_folder(source, 'images', name='HYTA'))
    masks = files_by_stem(need_folder(source, args.ground_truth, name='HYTA'))
    suffix = {'2GT': '_GT', '3GT': '_3GT'}[args.ground_truth]
    return [Sample(stem, image, masks.get(stem + suffix), stem) for stem, image in images.items()]


def read_labels(sample: Sample, args: argparse.Namespace, shape: tuple[int, int]) -> np.ndarray:
    """Read the mask."""
    mask = read_gray(sample.mask)
    if args.ground_truth == '2GT':
        return binary_labels(mask)
    if strangers := sorted(set(np.unique(mask).tolist()) - {0, THIN, THICK}):
        raise Refused(f'the mask holds {strangers[:8]}, expected only 0, {THIN} and {THICK}')
    labels = (mask == THICK).astype(np.uint8)
    labels[mask == THIN] = THIN_LABELS[args.thin_cloud]
    return labels


if __name__ == '__main__':
    sys.exit(main('HYTA', find, read_labels, options))
