"""Convert Pascal Context with all its 459 classes (PC-459), of which MMSegmentation has 59.

python tools/dataset_converters/pascal_context459.py VOCdevkit/VOC2010 data/pascal_context459

Mottaghi et al.: The role of context for object detection and semantic segmentation in the wild, CVPR 2014. SOURCE is
Pascal VOC 2010 with the annotations unpacked in it: trainval/YEAR_NUMBER.mat and labels.txt, lines such as
"1: accordion". Label files hold 16 bits: the number of the class less one, 65535 to ignore; the classes in that order
are OUT/vocabulary.yaml. Needs scipy beside what the other converters need, because the annotations are Matlab files.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from errors import Refused, UsageError
from label_sets import IGNORE, convert_each, exit_code
from scipy.io import loadmat
from writing import prepare, write_if_changed

CLASSES = 459


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='VOC2010 with the annotations in it')
    parser.add_argument('out', type=Path)
    parser.add_argument('--split', type=Path, help='stems; default: ImageSets/SegmentationContext/val.txt of SOURCE')
    parser.add_argument('--overwrite', action='store_true', help='replace what was made with other options')
    return parser.parse_args()


def read_names(file: Path) -> list[str]:
    """Return the names of the classes in the order of their numbers.

    Raises:
        UsageError: The file is missing or does not number 459 names.
    """
    try:
        numbered = [line.split(':', 1) for line in file.read_text(encoding='utf-8').splitlines() if line.strip()]
        found = {int(number): name.strip() for number, name in numbered}
    except (OSError, ValueError) as error:
        raise UsageError(f'{file} is not a list of classes ({error}): expected lines such as "1: accordion"') from error
    if sorted(found) != list(range(1, CLASSES + 1)) or not all(found.values()):
        raise UsageError(f'{file} numbers {len(found)} classes: expected 1 to {CLASSES}')
    return [found[number] for number in sorted(found)]


def read_labels(file: Path) -> np.ndarray:
    """Return the label file (H, W), uint16.

    Raises:
        Refused: It is missing or unreadable, or a number is not a class.
    """
    try:
        labels = np.asarray(loadmat(file)['LabelMap'])
    except Exception as error:  # scipy raises many types of error for damaged files
        raise Refused(f'{file.name} is no annotation: {error}') from error
    if labels.ndim != 2 or labels.min() < 0 or labels.max() > CLASSES:
        raise Refused(f'{file.name} holds {labels.shape} numbers from {labels.min()} to {labels.max()}')
    return np.where(labels == 0, IGNORE, labels.astype(np.int64) - 1).astype(np.uint16)


def convert(args: argparse.Namespace) -> list[str]:
    """Convert the images of the split; return why any were refused.

    Raises:
        UsageError: The source lacks something, or OUT was made with other options.
    """
    split = args.split or args.source / 'ImageSets' / 'SegmentationContext' / 'val.txt'
    if not split.is_file():
        raise UsageError(f'the split {split} is missing: expected stems, one a line')
    names, stems = read_names(args.source / 'labels.txt'), split.read_text().split()
    prepare(args.out, dict(data_set='Pascal Context 459', stems=len(stems)), overwrite=args.overwrite)
    content = 'concepts:\n' + ''.join(f'  - name: {name!r}\n' for name in names)
    write_if_changed(args.out / 'vocabulary.yaml', content.encode())

    def read(stem: str) -> tuple[bytes, np.ndarray]:
        labels = read_labels(args.source / 'trainval' / f'{stem}.mat')
        image = args.source / 'JPEGImages' / f'{stem}.jpg'
        if not image.is_file():
            raise Refused(f'{image.name} is missing')
        return image.read_bytes(), labels

    return convert_each('Pascal Context', stems, read, args.out, overwrite=args.overwrite)


if __name__ == '__main__':
    sys.exit(exit_code(convert, parse_args()))
