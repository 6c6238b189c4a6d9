"""Convert CCSN: images of clouds, each with the one genus it shows.

python tools/dataset_converters/ccsn.py CCSN data/ccsn

Zhang et al.: CloudNet: ground-based cloud classification with deep convolutional neural network,
GRL 2018. There are no masks: every pixel gets the genus of its image, clear sky and ground
included, as an id of the vocabulary ``sky``.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from conversion import main
from layout import DataSet, Sample, list_images

# Positions in hyperbolic_seg/sky/vocabularies/sky.yaml; Ct is the contrail.
NODES = {
    'Ci': 5,
    'Cc': 6,
    'Cs': 7,
    'Ac': 8,
    'As': 9,
    'Ns': 10,
    'Sc': 11,
    'St': 12,
    'Cu': 13,
    'Cb': 14,
    'Ct': 15,
}


def has_layout(root: Path, options: argparse.Namespace) -> bool:
    """Return whether a folder has the layout of CCSN."""
    return any((root / genus).is_dir() for genus in NODES)


def list_samples(root: Path, options: argparse.Namespace) -> list[Sample]:
    """List images, in strata by genus; no groups are known."""
    samples = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        known = folder.name in NODES
        problem = '' if known else f'{folder.name} is not one of the genera {", ".join(NODES)}'
        samples += [
            Sample(path.stem, path, path, path.stem, stratum=folder.name, problem=problem)
            for path in list_images(folder)
        ]
    return samples


def read_mask(sample: Sample, shape: tuple[int, int], options: argparse.Namespace) -> np.ndarray:
    """Fill a mask with the genus."""
    return np.full(shape, NODES[sample.stratum], np.uint8)


CCSN = DataSet(
    name='CCSN',
    layout=f'GENUS/NAME.jpg, where GENUS is one of {", ".join(NODES)}',
    has_layout=has_layout,
    list_samples=list_samples,
    read_mask=read_mask,
)

if __name__ == '__main__':
    sys.exit(main(CCSN))
