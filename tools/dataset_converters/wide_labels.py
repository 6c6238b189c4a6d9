"""What the converters to labels of 16 bits share: the classes that eight bits cannot hold."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from errors import Refused, UsageError
from tqdm import tqdm
from writing import put, write_if_changed

IGNORE = 65535


def convert_each(
    name: str,
    stems: Sequence[str],
    read: Callable[[str], tuple[bytes | np.ndarray, np.ndarray]],
    out: Path,
    *,
    overwrite: bool,
) -> list[str]:
    """Write the pictures, the labels and the split OUT/splits/val.txt; return why any were refused.

    Args:
        name: Name of the data set.
        stems: One for each picture.
        read: Returns the picture of a stem, as the bytes of a JPEG or as BGR for a PNG, and its labels (H, W), uint16;
            raises :class:`Refused` if it cannot.
        out: Folder that :func:`writing.prepare` has made.
        overwrite: Whether files with other content are replaced.
    """
    refused, good = [], []
    for stem in tqdm(stems, desc=name, unit='picture'):
        try:
            picture, labels = read(stem)
        except Refused as error:
            refused.append(f'refused {stem}: {error}')
            continue
        suffix = '.jpg' if isinstance(picture, bytes) else '.png'
        put(out / 'images' / f'{stem}{suffix}', picture, overwrite=overwrite)
        put(out / 'masks' / f'{stem}.png', labels, overwrite=overwrite)
        good.append(stem)
    write_if_changed(out / 'splits' / 'val.txt', ''.join(f'{stem}\n' for stem in good).encode())
    print(f'{name}: {len(good)} pictures converted, {len(refused)} refused')
    return refused


def exit_code(convert: Callable[[argparse.Namespace], list[str]], args: argparse.Namespace) -> int:
    """Convert and say what was refused; return 0 for all done, 1 for some refused, 2 if nothing could be done."""
    try:
        refused = convert(args)
    except UsageError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print('\n'.join(refused), end='\n' if refused else '')
    return 1 if refused else 0
