"""Labels of an archive as Zarr, a store for each day, which xarray opens together as one data set of CF."""

import hashlib
import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.app.archive.sources import file_system
from hyperbolic_seg.app.archive.stores import put_folder
from hyperbolic_seg.app.archive.tasks import MAPS
from hyperbolic_seg.files import printable
from hyperbolic_seg.version import __version__

LABELS = 'labels'
"""Folder of the stores, ``labels/2024-06-21.zarr``."""
_ROOT = ('.zgroup', '.zmetadata')  # metadata of the root group: without them there is no store
_TIME = dict(units='microseconds since 1970-01-01T00:00:00Z', dtype='int64', calendar='standard', _FillValue=None)


class Day(NamedTuple):
    """Labels of a day in UTC."""

    date: date
    partitions: tuple[str, ...]
    """Addresses of the partitions that have pictures of it."""

    @property
    def address(self) -> str:
        """Hexadecimal digits that change with its content; those of another day differ."""
        return hashlib.sha256(json.dumps([str(self.date), self.partitions]).encode()).hexdigest()[:32]


def write_day(destination: str, day: Day, classes: Sequence[str]) -> int:
    """Write the store of a day, with a chunk for each picture; one that is there already is kept.

    Args:
        destination: Where the results are.
        day: The day.
        classes: Names of the classes, in the order of the labels.

    Returns:
        The number of its pictures.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: Two pictures have the same time, or different sizes.
    """
    import dask
    import dask.array as da
    import xarray as xr
    from dask.delayed import delayed

    fs, root = file_system(destination)
    rows = _rows(fs, root, day)
    path = f'{root}/{LABELS}/{day.date}.zarr'
    if _address_of(fs, path) == day.address:
        return len(rows)
    maps = [_decoded(rows[0]['labels'])]
    _check_times(rows)
    shape, kind = maps[0].shape, maps[0].dtype
    # Decoded one by one, when their chunk is written: a day of labels may be larger than the memory.
    chunks = [da.from_delayed(delayed(_of_shape)(row, rows[0], shape), shape, kind) for row in rows]
    found = xr.Dataset(
        dict(labels=(('time', 'y', 'x'), da.stack(chunks), _about_labels(classes, kind))),
        dict(
            time=('time', _times(rows), dict(standard_name='time', long_name='time of the image', axis='T')),
            image=('time', np.array([row['image'] for row in rows], object), dict(long_name='file of the image')),
        ),
        dict(
            Conventions='CF-1.11',
            title=f'Classes of the pixels of a sky camera, {day.date}',
            source=f'hyperbolic_seg {__version__}, segmentation of images',
            classes=json.dumps(list(classes)),
            address=day.address,
        ),
    )
    with TemporaryDirectory(prefix='hyperbolic-seg-') as folder:
        store = Path(folder, 'day.zarr')
        with dask.config.set(scheduler='synchronous'):
            encoding: dict[str, Any] = dict(time=_TIME, labels=dict(chunks=(1, *shape)))
            # Format 2: format 3 has no specification of consolidated metadata, nor most readers yet.
            found.to_zarr(store, mode='w', zarr_format=2, consolidated=True, encoding=encoding)
        put_folder(fs, path, store, last=_ROOT)
    return len(rows)


def days_of(times: Sequence[datetime]) -> list[date]:
    """Return the days in UTC of times, each once."""
    return sorted({time.astimezone(timezone.utc).date() for time in times})


def _rows(fs: Any, root: str, day: Day) -> list[dict[str, Any]]:
    """Return image, time and encoded labels of the pictures of a day, in the order of time."""
    import pyarrow.parquet as pq

    begin = datetime(day.date.year, day.date.month, day.date.day, tzinfo=timezone.utc)
    within = [('time', '>=', begin), ('time', '<', begin + timedelta(days=1))]
    paths = [f'{root}/{MAPS}/{address}.parquet' for address in day.partitions]
    rows = [row for path in paths for row in pq.read_table(path, filesystem=fs, filters=within).to_pylist()]
    return sorted(rows, key=lambda row: (row['time'], row['image']))


def _address_of(fs: Any, path: str) -> str | None:
    """Return the address in a store; ``None`` if there is no store, or an unfinished one."""
    fs.invalidate_cache()
    if not all(fs.exists(f'{path}/{name}') for name in _ROOT):
        return None
    return str(json.loads(fs.cat_file(f'{path}/{_ROOT[-1]}'))['metadata']['.zattrs']['address'])


def _check_times(rows: list[dict[str, Any]]) -> None:
    for one, other in pairwise(rows):
        if one['time'] == other['time']:
            raise ValueError(
                f'{one["image"]} and {other["image"]} have the same time, {one["time"].isoformat()}: the times of a '
                'data set of CF increase. Leave one out by --exclude; the records have both'
            )


def _of_shape(row: dict[str, Any], first: dict[str, Any], shape: tuple[int, ...]) -> NDArray[np.integer]:
    labels = _decoded(row['labels'])
    if labels.shape != shape:
        raise ValueError(
            f'{row["image"]} has labels of {labels.shape} pixels, {first["image"]} of {shape}: a data set has one '
            'size. Leave the others out by --exclude; the records have all'
        )
    return labels


def _decoded(content: bytes) -> NDArray[np.integer]:
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise ValueError(f'{len(content)} bytes of labels are no PNG: remove the folder {MAPS} and start again')
    return cast('NDArray[np.integer]', found)


def _times(rows: list[dict[str, Any]]) -> NDArray[np.datetime64]:
    return np.array([row['time'].replace(tzinfo=None) for row in rows], 'datetime64[us]')


def _about_labels(classes: Sequence[str], kind: np.dtype[Any]) -> dict[str, Any]:
    # A flag is one word of letters, digits and these signs.
    words = [''.join(c if c.isascii() and (c.isalnum() or c in '-.+@') else '_' for c in name) for name in classes]
    return dict(
        long_name='class of the pixel',
        flag_values=np.arange(len(classes), dtype=kind),
        flag_meanings=' '.join(printable(word) for word in words),
    )
