"""Labels of a camera's pictures for an adaptation: masks in a folder, or clicks in a table."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import printable
from hyperbolic_seg.sky import CLEAR_SKY, CLOUD, known_words
from hyperbolic_seg.text import Vocabulary

IGNORE = 255
_COLUMNS = ('picture', 'x', 'y', 'prompt')


class Click(NamedTuple):
    """A labeled pixel of a picture."""

    x: float
    y: float
    label: int
    """0 clear sky, 1 cloud."""


def masks_of(files: Sequence[str], folder: Path) -> dict[str, Path]:
    """Return the mask of each picture that has one, ``NAME.png`` beside others in a folder.

    Raises:
        ValueError: None has one, or two pictures share a name.
    """
    found: dict[str, Path] = {}
    for file in files:
        mask = folder / f'{Path(file).stem}.png'
        if mask.is_file():
            if mask in found.values():
                raise ValueError(f'{printable(mask)} is the mask of two pictures: expected distinct names')
            found[file] = mask
    if not found:
        raise ValueError(f'{printable(folder)} has no mask NAME.png of any of the {len(files)} pictures')
    return found


def read_mask(file: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read a mask of the size of its picture, (H, W): 0 clear sky, 1 cloud, 255 for what does not count.

    Raises:
        ValueError: It is no image, or has other values or another size.
    """
    mask = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.shape != size:
        got = 'no image' if mask is None else f'of shape {mask.shape}'
        raise ValueError(f'the mask {printable(file)} is {got}: expected one channel and the size {size}')
    if strange := set(np.unique(mask).tolist()) - {0, 1, IGNORE}:
        raise ValueError(
            f'the mask {printable(file)} has the value {min(strange)}: expected 0 clear sky, 1 cloud, 255 for the rest'
        )
    return np.asarray(mask, np.uint8)


def read_clicks(file: Path, files: Sequence[str]) -> dict[str, list[Click]]:
    """Read a table of clicks with the columns ``picture``, ``x`` and ``y`` in pixels from the upper left, ``prompt``.

    ``picture`` is the name of a file without its folder. A prompt is any word for clear sky or for cloud, such as
    ``cumulus``.

    Returns:
        The clicks of each picture that has any.

    Raises:
        OSError: The file cannot be read.
        ValueError: A column is missing, or a line names no picture, no pixel, or neither clear sky nor cloud.
    """
    names = {Path(each).name: each for each in files}
    if len(names) < len(files):
        raise ValueError(f'{len(files)} pictures have {len(names)} names: clicks need distinct ones')
    found: dict[str, list[Click]] = {}
    labels: dict[str, int] = {}
    with file.open(newline='', encoding='utf-8-sig') as stream:
        rows = csv.DictReader(stream)
        if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
            raise ValueError(f'{printable(file)} lacks {", ".join(missing)}: expected {", ".join(_COLUMNS)}')
        for number, row in enumerate(rows, 2):
            where = f'{printable(file)}, line {number}'
            if row['picture'] not in names:
                raise ValueError(f'{where}: {printable(row["picture"])} is none of the pictures')
            try:
                x, y = float(row['x']), float(row['y'])
            except (TypeError, ValueError) as error:
                raise ValueError(f'{where}: x {row["x"]!r}, y {row["y"]!r}: expected pixels') from error
            prompt = row['prompt'] or ''
            if prompt not in labels:
                labels[prompt] = _label_of(prompt, where)
            found.setdefault(names[row['picture']], []).append(Click(x, y, labels[prompt]))
    if not found:
        raise ValueError(f'{printable(file)} has no clicks')
    return found


def mask_of_clicks(clicks: Sequence[Click], size: tuple[int, int], name: str) -> NDArray[np.uint8]:
    """Return clicks as a mask, (H, W), in which all other pixels do not count.

    Raises:
        ValueError: A click is beside the picture.
    """
    mask = np.full(size, IGNORE, np.uint8)
    for click in clicks:
        row, column = int(click.y), int(click.x)
        if not (0 <= click.y < size[0] and 0 <= click.x < size[1]):
            raise ValueError(
                f'a click at x {click.x:g}, y {click.y:g} is beside {printable(name)}, which has {size[1]} times '
                f'{size[0]} pixels'
            )
        mask[row, column] = click.label
    return mask


def _label_of(prompt: str, where: str) -> int:
    (concept,) = Vocabulary.from_prompts([prompt], known=known_words()) if prompt.strip() else (None,)
    lineage = () if concept is None else concept.lineage
    if (CLEAR_SKY in lineage) == (CLOUD in lineage):
        raise ValueError(
            f'{where}: the prompt {printable(prompt)!r} is neither clear sky nor cloud: expected a word for one'
        )
    return int(CLOUD in lineage)
