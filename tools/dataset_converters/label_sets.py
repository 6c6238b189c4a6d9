"""Shared code of the converters of sets with many classes, to labels of 8 or 16 bits."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from errors import Refused, UsageError
from images import decode, image_format, read_file, rescale
from tqdm import tqdm
from writing import put, write_if_changed

IGNORE = 65535  # in labels of 16 bits


def convert_each(
    name: str,
    stems: Sequence[str],
    read: Callable[[str], tuple[bytes | np.ndarray, np.ndarray]],
    out: Path,
    *,
    split: str = 'val',
    overwrite: bool,
) -> list[str]:
    """Write the images, the labels and the split OUT/splits/SPLIT.txt; return why any were refused.

    Args:
        name: Name of the data set.
        stems: One for each image.
        read: Returns the image of a stem, as the bytes of a JPEG or as BGR for a PNG, and its labels (H, W),
            uint8 or uint16; raises :class:`Refused` if it cannot.
        out: Folder that :func:`writing.prepare` has made.
        split: Name of the split.
        overwrite: Whether files with other content are replaced.
    """
    refused, good = [], []
    for stem in tqdm(stems, desc=name, unit='image'):
        try:
            image, labels = read(stem)
        except Refused as error:
            refused.append(f'refused {stem}: {error}')
            continue
        suffix = '.jpg' if isinstance(image, bytes) else '.png'
        put(out / 'images' / f'{stem}{suffix}', image, overwrite=overwrite)
        put(out / 'masks' / f'{stem}.png', labels, overwrite=overwrite)
        good.append(stem)
    write_if_changed(out / 'splits' / f'{split}.txt', ''.join(f'{stem}\n' for stem in good).encode())
    print(f'{name}: {len(good)} images converted, {len(refused)} refused')
    return refused


def read_pair(image: Path, labels: np.ndarray, size: int | None) -> tuple[bytes | np.ndarray, np.ndarray]:
    """Return a picture and its labels for :func:`convert_each`; a JPEG that is not rescaled as it is.

    Args:
        image: File of the picture.
        labels: Its labels, (H, W).
        size: Longer side that both are scaled to; ``None`` leaves them as they are.

    Raises:
        Refused: The picture cannot be read, or has another size.
    """
    content = read_file(image)
    pixels = decode(content, cv2.IMREAD_COLOR, image.name)
    if pixels.shape[:2] != labels.shape:
        raise Refused(f'the image has {pixels.shape[:2]} pixels, its labels {labels.shape}')
    scaled = rescale(pixels, size)
    as_it_is = scaled is pixels and image_format(content) == '.jpg'
    return content if as_it_is else scaled, rescale(labels, size, is_mask=True)


def exit_code(convert: Callable[[argparse.Namespace], list[str]], args: argparse.Namespace) -> int:
    """Convert and print the refusals; return 0 for all converted, 1 for some refused, 2 if the command cannot run."""
    try:
        refused = convert(args)
    except UsageError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print('\n'.join(refused), end='\n' if refused else '')
    return 1 if refused else 0
