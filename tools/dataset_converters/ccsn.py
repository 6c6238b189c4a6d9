"""Convert CCSN (one genus per picture; Zhang et al. 2018).

Layout: ``GENUS/GENUS-N001.jpg`` for eleven kinds. There are no masks: every pixel is labelled with the genus of
the picture, also where sky shows through. The ids are those of the vocabulary 'sky'.

    python tools/dataset_converters/ccsn.py SOURCE data/ccsn
"""

import argparse
import random
import sys
from pathlib import Path

import numpy as np
from conversion import LayoutError, Sample, files_by_stem, main

GENERA = dict(Ci=5, Cc=6, Cs=7, Ac=8, As=9, Ns=10, Sc=11, St=12, Cu=13, Cb=14, Ct=15)
# Each side of a split gets its share of every genus: groups are slices through all genera.
SLICES = 50


def find(source: Path, args: argparse.Namespace) -> list[Sample]:
    """List the pictures; no day is known, so they are dealt to slices that hold every genus alike."""
    folders = {p.name: p for p in source.iterdir() if p.is_dir() and p.name in GENERA}
    if not folders:
        raise LayoutError(f'{source} does not look like CCSN: expected folders {", ".join(GENERA)}')
    samples = []
    for genus, folder in sorted(folders.items()):
        files = list(files_by_stem(folder).items())
        random.Random(f'{args.seed}{genus}').shuffle(files)
        samples += [Sample(stem, file, file, f'slice {i % SLICES:02d}') for i, (stem, file) in enumerate(files)]
    return sorted(samples, key=lambda sample: sample.stem)


def read_labels(sample: Sample, args: argparse.Namespace, shape: tuple[int, int]) -> np.ndarray:
    """Fill the picture with its genus."""
    return np.full(shape, GENERA[sample.image.parent.name], np.uint8)


if __name__ == '__main__':
    sys.exit(main('CCSN', find, read_labels))
