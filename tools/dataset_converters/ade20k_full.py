"""Convert the validation images of the full ADE20K with 847 classes (A-847), of which MMSegmentation has 150.

python tools/dataset_converters/ade20k_full.py ADE20K_2021_17_01 data/ade20k_full

Zhou et al.: Semantic understanding of scenes through the ADE20K dataset, IJCV 2019; the 847 classes and the size are
those of Cheng et al., MaskFormer, NeurIPS 2021. SOURCE holds images/ADE/validation with images in folders of scenes
and beside each its NAME_seg.png, whose red and green encode the class. ade20k_full.txt beside this script numbers
the classes as ADE20K's index does, in the order of the vocabulary 'ade20k_full'. Images whose shorter side is above
512 pixels are reduced to that size. Label files hold 16 bits: the class, or 65535 for pixels of no class.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from errors import Refused, UsageError
from images import decode, read_file
from label_sets import IGNORE, convert_each, exit_code
from writing import prepare

SHORTER = 512


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='the unpacked ADE20K_2021_17_01')
    parser.add_argument('out', type=Path)
    parser.add_argument('--overwrite', action='store_true', help='replace what was made with other options')
    return parser.parse_args()


def class_table() -> np.ndarray:
    """Return the class of every number that red and green can encode (26 * 256), uint16."""
    numbers = np.array(Path(__file__).with_suffix('.txt').read_text(encoding='utf-8').split(), dtype=np.int64)
    table = np.full(26 * 256, IGNORE, np.uint16)
    table[numbers] = np.arange(len(numbers))
    return table


def read_labels(file: Path, table: np.ndarray) -> np.ndarray:
    """Return the classes (H, W), uint16, of the colors of a segmentation.

    Raises:
        Refused: It is unreadable.
    """
    colors = decode(read_file(file), cv2.IMREAD_COLOR, file.name)
    green, red = colors[..., 1].astype(np.int64), colors[..., 2].astype(np.int64)
    return np.asarray(table[red // 10 * 256 + green])


def reduced(values: np.ndarray, *, is_mask: bool) -> np.ndarray:
    """Reduce an image or its labels so that the shorter side has at most 512 pixels, by OpenCV as MaskFormer does.

    OpenCV's nearest neighbor takes the pixel at a corner and not at the center, so labels move by up to half a pixel
    against the image. Published figures were measured on labels that are moved so.
    """
    height, width = values.shape[:2]
    if min(height, width) <= SHORTER:
        return values
    size = (round(width / height * SHORTER), SHORTER) if width >= height else (SHORTER, round(height / width * SHORTER))
    how = cv2.INTER_NEAREST if is_mask else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, size, interpolation=how))


def convert(args: argparse.Namespace) -> list[str]:
    """Convert the images; return why any were refused.

    Raises:
        UsageError: The source lacks them, or OUT was made with other options.
    """
    folder = args.source / 'images' / 'ADE' / 'validation'
    files = {file.name.removesuffix('_seg.png'): file for file in folder.rglob('*_seg.png')}
    if not files:
        raise UsageError(f'no segmentation in {folder}: expected files such as SCENE/ADE_val_00000001_seg.png')
    prepare(args.out, dict(data_set='ADE20K, 847 classes', images=len(files)), overwrite=args.overwrite)
    table = class_table()

    def read(stem: str) -> tuple[np.ndarray, np.ndarray]:
        labels = read_labels(files[stem], table)
        image = decode(read_file(files[stem].with_name(f'{stem}.jpg')), cv2.IMREAD_COLOR, f'{stem}.jpg')
        if image.shape[:2] != labels.shape:
            raise Refused(f'the image has {image.shape[:2]} pixels, its segmentation {labels.shape}')
        return reduced(image, is_mask=False), reduced(labels, is_mask=True)

    return convert_each('ADE20K', sorted(files), read, args.out, overwrite=args.overwrite)


if __name__ == '__main__':
    sys.exit(exit_code(convert, parse_args()))
