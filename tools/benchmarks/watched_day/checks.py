"""What each output has of a day, against the pictures."""

import csv
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import xarray

from watched_day.camera import FORMAT, START
from watched_day.ends import Subscriber


class Row(NamedTuple):
    """What an output was to have, and what it has."""

    what: str
    expected: Any
    found: Any


def check_journal(folder: Path, names: Sequence[str]) -> Iterator[Row]:
    """Check the journal, and the files of labels."""
    found = journal(folder)
    yield Row('journal: pictures, in order', list(names), [line['name'] for line in found])
    predicted = {line['name'] for line in found if line.get('cloud') is not None}
    yield Row('journal: pictures with an error', 0, sum('error' in line for line in found))
    yield Row('unfinished files', 0, len([*folder.rglob('.*.part')]))
    yield Row('labels: files', len(predicted), len([*(folder / 'labels').iterdir()]))


def check_series(folder: Path, names: Sequence[str]) -> Iterator[Row]:
    """Check the files of the day."""
    day, found = folder / 'series' / f'{START:%Y-%m-%d}', journal(folder)
    times = [datetime.strptime(Path(name).stem, FORMAT) for name in names]
    with Path(f'{day}.csv').open(encoding='utf-8', newline='') as file:
        rows = [*csv.DictReader(file)]
    yield Row('table: pictures, in order', list(names), [Path(row['image']).name for row in rows])
    yield Row('table: qualities', [line.get('quality') for line in found], [row['quality'] for row in rows])
    with xarray.open_dataset(f'{day}.nc') as dataset:
        said, missing = dataset.time.values.astype('datetime64[us]').tolist(), int(dataset.cloud.isnull().sum())
    yield Row('NetCDF: times, in order', times, said)
    yield Row('NetCDF: refused pictures, without cover', sum(line.get('cloud') is None for line in found), missing)
    columns = [json.loads(line)['name'] for line in Path(f'{day}-meridian.jsonl').read_text().splitlines()]
    drawn = [line['name'] for line in found if line.get('cloud') is not None]
    yield Row('keogram: columns, each once', drawn, sorted(columns))
    for name in ('keogram', 'strip chart'):
        image = cv2.imread(f'{day}{"-keogram" if name == "keogram" else ""}.png')
        yield Row(f'{name}: a picture', True, image is not None and min(image.shape[:2]) > 200)


def check_webhook(posts: Sequence[tuple[str, bytes]], folder: Path) -> Iterator[Row]:
    """Check what the server of the webhook got."""
    lines = (folder / 'journal.jsonl').read_bytes().splitlines()
    keys = dict.fromkeys(key for key, _ in posts)
    bodies = list(dict.fromkeys(body for _, body in posts))
    again = sum(one == other for one, other in pairwise(posts))
    yield Row('webhook: lines, in order, repeats left out', lines, bodies)
    yield Row('webhook: keys', len(lines), len(keys))
    yield Row('webhook: repeats right after their first', len(posts) - len(lines), again)


def check_mqtt(subscriber: Subscriber, retained: Sequence[bytes], folder: Path) -> Iterator[Row]:
    """Check what the subscriber got over the day, and what the broker has retained."""
    lines = journal(folder)
    number = {line['name']: place for place, line in enumerate(lines)}
    states = [number[json.loads(payload)['name']] for payload in subscriber.of('sky/day/state')]
    yield Row('MQTT: retained state', [lines[-1]], [json.loads(payload) for payload in retained])
    yield Row('MQTT: a state after a newer one', 0, sum(one > other for one, other in pairwise(states)))
    said = subscriber.of('sky/day/availability')
    yield Row('MQTT: online and offline in turn', [b'online', b'offline'] * ((len(said) + 1) // 2), said)


def journal(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal."""
    return [json.loads(line) for line in (folder / 'journal.jsonl').read_bytes().splitlines()]


def messages_of(log: Path, names: Sequence[str]) -> dict[str, int]:
    """Return what the command has said beside its lines about pictures, and how often."""
    found: dict[str, int] = {}
    for line in log.read_text(encoding='utf-8').splitlines():
        if line.split(': ')[0] not in names or 'will be tried again' in line:
            found[line] = found.get(line, 0) + 1
    return found
