"""Convert HRC_WHU (satellite, 720 x 1280; Li et al. 2019).

Layout: ``NAME.tif`` beside ``NAME_ReferenceMask.tif`` (0 ground, 255 or 1 cloud), in one folder or in several.
Its pictures look down: what is no cloud is labelled 0 as the clear sky of the other sets is.

    python tools/dataset_converters/hrc_whu.py SOURCE data/hrc_whu
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from conversion import LayoutError, Refused, Sample, main, read_gray

SUFFIX = '_ReferenceMask'


def find(source: Path, args: argparse.Namespace) -> list[Sample]:
    """List the pictures; no day is known, so each is a group of its own."""
    files = {p.with_suffix(''): p for p in sorted(source.rglob('*')) if p.suffix.lower() in ('.tif', '.tiff')}
    images = {p: file for p, file in files.items() if not p.name.endswith(SUFFIX)}
    if not images:
        raise LayoutError(f'{source} does not look like HRC_WHU: expected NAME.tif beside NAME{SUFFIX}.tif')
    stems = {p: '_'.join(p.relative_to(source).parts) for p in images}
    return [Sample(stems[p], file, files.get(p.with_name(p.name + SUFFIX)), stems[p]) for p, file in images.items()]


def read_labels(sample: Sample, args: argparse.Namespace, shape: tuple[int, int]) -> np.ndarray:
    """Read the mask."""
    mask = read_gray(sample.mask)
    if strangers := sorted(set(np.unique(mask).tolist()) - {0, 1, 255}):
        raise Refused(f'the mask holds {strangers[:8]}, expected only 0 and 255, or 0 and 1')
    return (mask > 0).astype(np.uint8)


if __name__ == '__main__':
    sys.exit(main('HRC_WHU', find, read_labels))
