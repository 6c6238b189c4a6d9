"""Convert Pascal Context with all its 459 classes (PC-459), of which MMSegmentation has 59.

python tools/dataset_converters/pascal_context459.py VOCdevkit/VOC2010 data/pascal_context459

Mottaghi et al.: The role of context for object detection and semantic segmentation in the wild, CVPR 2014. SOURCE is
Pascal VOC 2010 with what the annotations' archive holds in it: trainval/YEAR_NUMBER.mat and labels.txt, lines such as
"1: accordion". Label files hold 16 bits: the number of the class less one, 65535 to ignore; the classes in that order
are OUT/vocabulary.yaml. Needs scipy beside what the other converters need, for the annotations are files of Matlab.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from errors import Refused, UsageError
from scipy.io import loadmat
from tqdm import tqdm
from writing import prepare, put, write_if_changed

IGNORE = 65535
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
        raise UsageError(f'{file} is no list of classes ({error}): expected lines such as "1: accordion"') from error
    if sorted(found) != list(range(1, CLASSES + 1)) or not all(found.values()):
        raise UsageError(f'{file} numbers {len(found)} classes: expected 1 to {CLASSES}')
    return [found[number] for number in sorted(found)]


def read_labels(file: Path) -> np.ndarray:
    """Return the label file (H, W), uint16.

    Raises:
        Refused: It is missing or unreadable, or a number is no class.
    """
    try:
        labels = np.asarray(loadmat(file)['LabelMap'])
    except Exception as error:  # scipy raises anything on what is no such file
        raise Refused(f'{file.name} is no annotation: {error}') from error
    if labels.ndim != 2 or labels.min() < 0 or labels.max() > CLASSES:
        raise Refused(f'{file.name} holds {labels.shape} numbers from {labels.min()} to {labels.max()}')
    return np.where(labels == 0, IGNORE, labels.astype(np.int64) - 1).astype(np.uint16)


def convert(args: argparse.Namespace) -> list[str]:
    """Convert the pictures of the split; return why any were refused.

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
    refused, good = [], []
    for stem in tqdm(stems, desc='Pascal Context', unit='picture'):
        try:
            labels = read_labels(args.source / 'trainval' / f'{stem}.mat')
            picture = args.source / 'JPEGImages' / f'{stem}.jpg'
            if not picture.is_file():
                raise Refused(f'{picture.name} is missing')
        except Refused as error:
            refused.append(f'refused {stem}: {error}')
            continue
        put(args.out / 'images' / f'{stem}.jpg', picture.read_bytes(), overwrite=args.overwrite)
        put(args.out / 'masks' / f'{stem}.png', labels, overwrite=args.overwrite)
        good.append(stem)
    write_if_changed(args.out / 'splits' / 'val.txt', ''.join(f'{stem}\n' for stem in good).encode())
    print(f'Pascal Context: {len(good)} pictures converted, {len(refused)} refused')
    return refused


def main() -> int:
    """Convert; 0 all done, 1 some refused, 2 nothing could be done."""
    try:
        refused = convert(parse_args())
    except UsageError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print('\n'.join(refused), end='\n' if refused else '')
    return 1 if refused else 0


if __name__ == '__main__':
    sys.exit(main())
