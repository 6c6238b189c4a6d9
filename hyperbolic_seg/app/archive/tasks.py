"""The task of one partition: read its pictures, predict them, and write one file."""

import io
import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.app.archive.plan import Partition
from hyperbolic_seg.app.archive.recipe import Predicted, Predictor, Recipe, predictor_of
from hyperbolic_seg.app.archive.sources import Picture, Source, file_system
from hyperbolic_seg.app.archive.stores import put
from hyperbolic_seg.files import printable
from hyperbolic_seg.images import MAX_BYTES

if TYPE_CHECKING:
    import pyarrow

    from hyperbolic_seg.sky.camera import Repeats

RECORDS, MAPS = 'records', 'maps'
"""Folders of the records and of the labels, a file for each partition."""
_AHEAD = 4  # pictures that are read while one is predicted
_LONGEST = 255  # bytes in a name of a file on Linux, macOS and Windows


class Done(NamedTuple):
    """What a task reports."""

    address: str
    pictures: int
    refused: int
    bytes: int
    seconds: float


def process(
    recipe: Recipe, fingerprint: str, partition: Partition, source: str, destination: str, *, with_labels: bool
) -> Done:
    """Predict the pictures of a partition, and write its file. A second run writes the same.

    Args:
        recipe: How to build the predictor.
        fingerprint: That of the predictor of the process which has planned.
        partition: The pictures.
        source: Where they are.
        destination: Where the results go.
        with_labels: Write the labels too.

    Raises:
        OSError: A file cannot be read or written.
        RuntimeError: The predictor here is another one, or it fails.
        ValueError: The time of a picture is not known, see :meth:`SkyPredictor.examine`.
    """
    began = time.monotonic()
    predictor = predictor_of(recipe, fingerprint)
    rows, maps, read = [], [], 0
    pictures, (results, root) = Source.at(source), file_system(destination)
    repeats = _state_before(predictor, pictures, partition.before)
    for picture, content in _prefetched(pictures, partition.pictures):
        found = _predict(predictor, pictures, picture, content, repeats, with_labels=with_labels)
        rows.append(row_of(picture, found))
        read += picture.size
        if found.labels is not None and rows[-1]['time'] is not None:
            maps.append(dict(image=rows[-1]['image'], time=rows[-1]['time'], labels=_png(found.labels)))
    if with_labels:
        put(results, f'{root}/{MAPS}/{partition.address}.parquet', _parquet(maps, maps_schema()))
    # Last: that this file is there means that the partition is done.
    put(results, f'{root}/{RECORDS}/{partition.address}.parquet', _parquet(rows, records_schema()))
    refused = sum(row['refusal'] is not None for row in rows)
    return Done(partition.address, len(rows), refused, read, time.monotonic() - began)


def row_of(picture: Picture, found: Predicted) -> dict[str, Any]:
    """Return the row of a picture in the table, see :func:`records_schema`."""
    record = found.record
    moment, cloud = record.get('time'), record.get('cloud') or {}
    return dict(
        image=printable(picture.key),
        version=picture.version,
        bytes=picture.size,
        time=None if moment is None else datetime.fromisoformat(moment).astimezone(timezone.utc),
        **{name: record.get(name) for name in ('width', 'height', 'quality', 'mean_confidence', 'mean_radius')},
        **{name: cloud.get(part) for name, part in _CLOUD.items()},
        fractions=[*record.get('fractions', {}).items()],
        refusal=found.refusal,
        record=json.dumps(record, allow_nan=False),
    )


_CLOUD = dict(cloud='fraction', cloud_low='low', cloud_high='high', oktas='oktas')


def records_schema() -> 'pyarrow.Schema':
    """Return the schema of the records: a row for each picture, refused ones too.

    ``record`` is the line of ``hyperbolic-seg predict --json``; the other columns are what is asked for most.
    """
    import pyarrow as pa

    text, number, double = pa.string(), pa.int32(), pa.float64()
    return pa.schema(
        dict(
            image=text,
            version=text,
            bytes=pa.int64(),
            time=pa.timestamp('us', 'UTC'),
            width=number,
            height=number,
            quality=text,
            mean_confidence=double,
            mean_radius=double,
            **dict.fromkeys(_CLOUD, double),
            fractions=pa.map_(text, double),
            refusal=text,
            record=text,
        )
    )


def maps_schema() -> 'pyarrow.Schema':
    """Return the schema of labels: those of pictures with a time, as PNG."""
    import pyarrow as pa

    return pa.schema(dict(image=pa.string(), time=pa.timestamp('us', 'UTC'), labels=pa.binary()))


def _predict(
    predictor: Predictor,
    source: Source,
    picture: Picture,
    content: bytes | None,
    repeats: 'Repeats | None',
    *,
    with_labels: bool,
) -> Predicted:
    """Predict a picture; its record names it by its key."""
    name = printable(picture.key)
    if content is None:
        error = f'{name}: {_why_unread(picture)}'
        return Predicted(dict(image=picture.key, error=error), None, error)
    with source.as_file(picture, content) as path:
        try:
            record, labels, why = predictor.predict(path, repeats, with_labels=with_labels)
        except (OSError, RuntimeError, MemoryError) as error:  # no fault of the picture, so it is tried again
            raise RuntimeError(f'{name}: {error}') from error
    record['image'] = picture.key
    if 'error' in record:
        record['error'] = record['error'].replace(printable(path), name)
    return Predicted(record, labels, None if why is None else why.replace(printable(path), name))


def _why_unread(picture: Picture) -> str | None:
    """Return why a picture is refused before it is read, ``None`` if it is not."""
    parts = picture.key.split('/')
    if picture.size > MAX_BYTES:
        return f'more than {MAX_BYTES} bytes: expected a smaller file'
    if '..' in parts or max(len(part.encode('utf-8', 'surrogatepass')) for part in parts) > _LONGEST:
        return f'no name of a file: expected parts of at most {_LONGEST} bytes, without ".."'
    return None


def _state_before(predictor: Predictor, source: Source, before: Sequence[Picture]) -> 'Repeats | None':
    """Return what one run over all pictures would know of those before a partition.

    From the last picture back to one that needs none before it, and from there on again in order.

    Raises:
        ValueError: All times of the partition before lie in an hour that comes twice.
    """
    if not predictor.ordered:
        return None
    from hyperbolic_seg.sky.camera import Repeats

    needed: list[Picture] = []
    known, timed = not before, False
    for picture in reversed(before):
        repeats = Repeats()
        needed.insert(0, picture)
        known = _examine(predictor, source, picture, repeats)
        timed = timed or repeats.time is not None
        if known:
            break
    if timed and not known:
        raise ValueError(
            f'{printable(before[-1].key)}: all pictures of the partition before lie in an hour that comes twice, when '
            'clocks are put back, so their times are not known: make the partitions larger'
        )
    repeats = Repeats()
    for picture in needed:
        _examine(predictor, source, picture, repeats)
    return repeats


def _examine(predictor: Predictor, source: Source, picture: Picture, repeats: 'Repeats') -> bool:
    if _why_unread(picture) is not None:
        return False
    with source.as_file(picture, source.read(picture)) as path:
        return predictor.examine(path, repeats)


def _prefetched(source: Source, pictures: Sequence[Picture]) -> Iterator[tuple[Picture, bytes | None]]:
    """Yield pictures with their content, the next ones being read meanwhile; ``None`` for one that is not read."""
    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting: deque[tuple[Picture, Future[bytes] | None]] = deque()
        for picture in pictures:
            waiting.append((picture, pool.submit(source.read, picture) if _why_unread(picture) is None else None))
            if len(waiting) > _AHEAD:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())


def _result(picture: Picture, content: Future[bytes] | None) -> tuple[Picture, bytes | None]:
    return picture, None if content is None else content.result()


def _png(labels: NDArray[np.integer]) -> bytes:
    done, content = cv2.imencode('.png', labels)
    if not done:
        raise RuntimeError(f'labels of {labels.shape} and {labels.dtype} could not be encoded as PNG')
    return content.tobytes()


def _parquet(rows: list[dict[str, Any]], schema: 'pyarrow.Schema') -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), content, compression='zstd')
    return content.getvalue()
