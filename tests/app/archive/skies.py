"""Archives of small rendered skies."""

from datetime import datetime, timedelta
from functools import cache

import cv2
import numpy as np
import pyarrow.parquet as pq

from hyperbolic_seg.sky.renderer import render_sky

START = datetime(2024, 6, 21, 22)


@cache
def sky(seed, side=32):
    return render_sky(seed, side).image


def encoded(number, side=32):
    """A PNG of a sky that no other number has."""
    image = np.roll(sky(number % 12, side), number // 12, axis=1).copy()
    image[0, 0] = number % 251, number // 251 % 251, 7
    return cv2.imencode('.png', image)[1].tobytes()


def name(number, minutes=3):
    return f'{START + timedelta(minutes=minutes * number):%Y%m%dT%H%M%S}.png'


def fill(folder, count, *, per_folder=50, minutes=3):
    """Write pictures into subfolders; return the folder."""
    for number in range(count):
        path = folder / f'{number // per_folder:04d}' / name(number, minutes)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(number))
    return folder


def rows_of(destination):
    """All rows of the results, by image."""
    rows = [
        row for path in sorted((destination / 'records').glob('*.parquet')) for row in pq.read_table(path).to_pylist()
    ]
    return sorted(rows, key=lambda row: row['image'])


def serial(folder, recipe):
    """The rows that one loop over all pictures gives."""
    from hyperbolic_seg.app.archive import list_pictures
    from hyperbolic_seg.app.archive.tasks import row_of
    from hyperbolic_seg.app.selection import Selection

    predictor, rows = recipe.build(), []
    for picture in list_pictures(str(folder), Selection()).pictures:
        found = predictor.predict(picture.path, None, with_labels=False)
        found.record['image'] = picture.key
        rows.append(row_of(picture, found))
    return rows
