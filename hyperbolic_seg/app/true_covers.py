"""Records of pictures beside their true covers, for a calibration of the intervals."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from hyperbolic_seg.datasets import read_image
from hyperbolic_seg.files import printable
from hyperbolic_seg.sky.camera import SkyCamera

COLUMNS = {'cover': 1.0, 'oktas': 8.0}
"""Columns of a table that may hold the true cover, and what they call an overcast sky."""

_IGNORE = 255


class Truth(NamedTuple):
    """What is known of a picture."""

    cover: float
    """True cover by all cloud, 0 to 1."""
    day: str | None
    """Day, or another group of pictures that are alike; ``None`` for the date of the record."""


class Pairs(NamedTuple):
    """Records with their true covers."""

    records: list[dict[str, Any]]
    covers: list[float]
    days: list[str]
    notes: list[str]
    """What was left out, and why."""


def read_records(file: Path) -> list[dict[str, Any]]:
    """Read lines of ``predict --json`` or the journal of ``watch``; of several about one picture the last one counts.

    Raises:
        OSError: The file cannot be read.
        ValueError: A line is no record.
    """
    found: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(file.read_text(encoding='utf-8').splitlines(), 1):
        try:
            record = json.loads(line)
            found[str(record.get('name', record['image']))] = record
        except (ValueError, KeyError, AttributeError) as error:
            raise ValueError(
                f'{file}, line {number} is no record: expected what "predict --json" prints, or journal.jsonl of watch'
            ) from error
    return list(found.values())


def read_table(file: Path) -> dict[str, Truth]:
    """Read a table of true covers by the name of the picture.

    Its columns are ``image``, and ``cover`` from 0 to 1 or ``oktas`` from 0 to 8, and if wanted ``day``.

    Raises:
        OSError: The file cannot be read.
        ValueError: A column is missing, a value is out of range, or a picture is there twice.
    """
    with file.open(newline='', encoding='utf-8-sig') as stream:
        rows = csv.DictReader(stream)
        names = set(rows.fieldnames or ())
        chosen = sorted(names & COLUMNS.keys())
        if 'image' not in names or len(chosen) != 1:
            raise ValueError(
                f'{file} has the columns {", ".join(sorted(names)) or "none"}: expected image, one of cover (0 to 1) '
                'and oktas (0 to 8), and if wanted day'
            )
        found: dict[str, Truth] = {}
        for number, row in enumerate(rows, 2):
            try:
                cover = float(row[chosen[0]]) / COLUMNS[chosen[0]]
            except (TypeError, ValueError):
                cover = np.nan
            if not 0 <= cover <= 1:
                raise ValueError(
                    f'{file}, line {number}: {chosen[0]} {row[chosen[0]]!r}: expected 0 to {COLUMNS[chosen[0]]:g}'
                )
            if row['image'] in found:
                raise ValueError(f'{file}, line {number}: {row["image"]} is there twice')
            found[row['image']] = Truth(cover, row.get('day') or None)
    return found


def read_masks(folder: Path, records: Iterable[Mapping[str, Any]], camera: SkyCamera) -> dict[str, Truth]:
    """Return the true cover of the pictures that have a mask ``NAME.png``, weighted as the camera weights pixels.

    A mask has the size of the picture, and the values 0 for clear sky, 1 for cloud and 255 for what does not count.

    Raises:
        OSError: A picture or a mask cannot be read.
        ValueError: A mask has other values or another size, or nothing of it counts.
    """
    found = {}
    for record in records:
        file = folder / f'{Path(record["image"]).stem}.png'
        if not file.is_file():
            continue
        image, mask = read_image(record['image'], levels=camera.levels), cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if mask is None or mask.shape != image.shape[:2]:
            got = 'no image' if mask is None else f'of shape {mask.shape}'
            raise ValueError(f'the mask {file} is {got}: expected one channel and the size {image.shape[:2]}')
        if strange := set(np.unique(mask).tolist()) - {0, 1, _IGNORE}:
            raise ValueError(
                f'the mask {file} has the value {min(strange)}: expected 0 clear sky, 1 cloud, 255 for the rest'
            )
        weights = camera.view(image, record['image']).weights * (mask != _IGNORE)
        if not weights.sum() > 0:
            raise ValueError(f'nothing of the mask {file} counts by the camera file')
        found[record['image']] = Truth(float(weights[mask == 1].sum() / weights.sum()), None)
    return found


def pair(records: Iterable[dict[str, Any]], truths: Mapping[str, Truth]) -> Pairs:
    """Bring records and true covers together by the name of the picture: its path, or the last part of it.

    Left out are pictures without a cover by all cloud, and those whose quality is not ok, for which a calibrated
    interval has no guarantee.

    Raises:
        ValueError: No picture has both, two pictures have one name, or a picture has no day.
    """
    given = list(records)
    short = Counter(Path(record['image']).name for record in given)
    found, unused, left = Pairs([], [], [], []), dict(truths), 0
    for record in given:
        names = [str(record['image']), str(record.get('name', '')), Path(record['image']).name]
        name = next((name for name in names if name in unused), None)
        if name is None:
            continue
        if name == names[-1] and short[name] > 1 and name not in names[:2]:
            raise ValueError(f'{name} is the name of {short[name]} pictures: expected paths as in the records')
        truth = unused.pop(name)
        if record.get('cloud') is None or record.get('quality') != 'ok':
            left += 1
            continue
        found.records.append(record)
        found.covers.append(truth.cover)
        found.days.append(truth.day or _date_of(record))
    if not found.records:
        raise ValueError('no picture has both a true cover and a record of quality ok: do the names agree?')
    if left:
        found.notes.append(f'{left} pictures left out: no cover by all cloud, or a quality that is not ok')
    if unused:
        found.notes.append(f'{len(unused)} true covers without a record, such as {printable(next(iter(unused)))}')
    return found


def _date_of(record: dict[str, Any]) -> str:
    if not record.get('time'):
        raise ValueError(
            f'{printable(record["image"])} has no time: give the column day, or time_format in camera.yaml'
        )
    return datetime.fromisoformat(record['time']).date().isoformat()
