"""Convert COCO-Stuff to COCO-Object: the 80 things of COCO, and background for all else.

python tools/dataset_converters/coco_object.py data/coco_stuff164k data/coco_object

As in GroupViT (Xu et al., CVPR 2022) and the methods that compare with it. SOURCE is COCO-Stuff as MMSegmentation has
it, with images/val2017/STEM.jpg and annotations/val2017/STEM.png, the label files of the authors. Ids of the labels are
those of the vocabulary sclip_coco_object: 0 background, which stuff and unlabeled pixels are too, then the things.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from errors import Refused, UsageError
from label_sets import convert_each, exit_code
from writing import prepare

# Label files hold the category of COCO less one; these 11 of the first 91 categories were never annotated.
_NEVER = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)
THINGS = tuple(number for number in range(91) if number not in _NEVER)
_LARGEST, _UNLABELED = 181, 255


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='COCO-Stuff')
    parser.add_argument('out', type=Path)
    parser.add_argument(
        '--split',
        default='val2017',
        help='folder of images and annotations, such as train2017, which becomes splits/train.txt',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace what was made with other options')
    return parser.parse_args()


def object_labels(labels: np.ndarray) -> np.ndarray:
    """Return ids of COCO-Object for a label file of COCO-Stuff, (H, W), uint8.

    Raises:
        Refused: It is not one channel, or a number is no category.
    """
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise Refused(f'expected one channel of 8 bits, got {labels.dtype} of {labels.shape}')
    if (strange := (labels > _LARGEST) & (labels != _UNLABELED)).any():
        raise Refused(f'{labels[strange][0]} is no category of COCO-Stuff: expected 0 to {_LARGEST}, or {_UNLABELED}')
    table = np.zeros(256, np.uint8)
    table[list(THINGS)] = np.arange(1, len(THINGS) + 1)
    return table[labels]


def convert(args: argparse.Namespace) -> list[str]:
    """Convert the images of the split; return why any were refused.

    Raises:
        UsageError: The source has no label files, or OUT was made with other options.
    """
    folder = args.source / 'annotations' / args.split
    # MMSegmentation puts its own label files beside those of the authors.
    stems = sorted(path.stem for path in folder.glob('*.png') if not path.stem.endswith('TrainIds'))
    if not stems:
        raise UsageError(f'no label files in {folder}: expected STEM.png, those of the authors of COCO-Stuff')
    prepare(args.out, dict(data_set='COCO-Object', split=args.split), overwrite=args.overwrite)

    def read(stem: str) -> tuple[bytes, np.ndarray]:
        labels = cv2.imread(str(folder / f'{stem}.png'), cv2.IMREAD_UNCHANGED)
        if labels is None:
            raise Refused(f'{stem}.png cannot be read')
        image = args.source / 'images' / args.split / f'{stem}.jpg'
        if not image.is_file():
            raise Refused(f'{image.name} is missing')
        return image.read_bytes(), object_labels(labels)

    split = args.split.rstrip('0123456789')  # val of val2017
    return convert_each('COCO-Object', stems, read, args.out, split=split, overwrite=args.overwrite)


if __name__ == '__main__':
    sys.exit(exit_code(convert, parse_args()))
