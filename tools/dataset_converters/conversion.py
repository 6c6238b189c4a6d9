"""What the converters share: command line, splits, resumable writing and the summary.

A converter says how its set is laid out (``find``) and how its masks are read (``read_labels``); the rest is
here. Only the standard library, NumPy, OpenCV and tqdm are needed, so the converters run as they are wherever
Python runs, with or without hyperbolic_seg installed.
"""

import argparse
import csv
import json
import os
import random
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

IGNORE = 255
KEPT_SUFFIXES = {b'\x89PNG': '.png', b'\xff\xd8\xff': '.jpg'}


class Refused(Exception):
    """A picture that cannot be converted; the message says why."""


class LayoutError(Exception):
    """The source does not look like the set; the message says what was expected."""


@dataclass(frozen=True)
class Sample:
    """One picture of a set: its new name, its files and the group that must stay on one side of a split."""

    stem: str
    image: Path
    mask: Path | None
    group: str


Find = Callable[[Path, argparse.Namespace], list[Sample]]
ReadLabels = Callable[[Sample, argparse.Namespace, tuple[int, int]], np.ndarray]


def split_groups(sizes: Mapping[str, int], fraction: float, seed: int) -> set[str]:
    """Choose whole groups that hold as nearly as possible ``fraction`` of all pictures.

    The groups are shuffled by the seed and every total that some of them can reach is listed (the first way to
    reach it counts); the total nearest to the goal wins. A fraction above 0 takes at least one group, and at
    least one is left.

    Args:
        sizes: Pictures in each group.
        fraction: The share wanted, from 0 to 1.
        seed: Chooses among equally good selections.
    """
    groups = sorted(sizes)
    random.Random(seed).shuffle(groups)
    ways: dict[int, tuple[str, ...]] = {0: ()}
    for group in groups:
        for total, chosen in list(ways.items()):
            ways.setdefault(total + sizes[group], (*chosen, group))
    goal = fraction * sum(sizes.values())
    possible = [t for t, chosen in ways.items() if fraction == 0 or 0 < len(chosen) < len(groups)]
    if fraction == 0 or not possible:
        return set()
    return set(ways[min(possible, key=lambda total: (abs(total - goal), total))])


def split(samples: Sequence[Sample], val: float, test: float, seed: int) -> dict[str, str]:
    """Assign every stem to ``train``, ``val`` or ``test``; no group stands on two sides."""
    sizes = Counter(sample.group for sample in samples)
    in_val = split_groups(sizes, val, seed)
    rest = {group: size for group, size in sizes.items() if group not in in_val}
    in_test = split_groups(rest, test * len(samples) / max(sum(rest.values()), 1), seed + 1)
    side = {group: 'val' if group in in_val else 'test' if group in in_test else 'train' for group in sizes}
    return {sample.stem: side[sample.group] for sample in samples}


def read_gray(path: Path | None) -> np.ndarray:
    """Read an image file as one channel, (H, W) uint8; refuse a mask that is missing."""
    if path is None:
        raise Refused('its mask is missing')
    return _decode(path, cv2.IMREAD_GRAYSCALE)


def binary_labels(mask: np.ndarray) -> np.ndarray:
    """Turn a mask whose cloud is bright into labels; the threshold at 128 also undoes the noise of JPEG."""
    return (mask >= 128).astype(np.uint8)


def _decode(path: Path, flags: int) -> np.ndarray:
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise Refused(f'{path.name}: {error.strerror}') from error
    picture = cv2.imdecode(content, flags) if content.size else None
    if picture is None:
        raise Refused(f'{path.name} is not a readable image')
    return picture


def main(name: str, find: Find, read_labels: ReadLabels, options: Callable | None = None) -> int:
    """Run a converter on the command line; return the exit code: 0, 1 (some refused) or 2 (nothing done)."""
    args = _parse(name, options)
    try:
        with _opened(args.source) as source:
            return _convert(find(source, args), read_labels, args)
    except (LayoutError, OSError, ValueError, zipfile.BadZipFile) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2


def _parse(name: str, options: Callable | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f'Convert {name} to images/, masks/ and splits/.',
        epilog='Exit code: 0 all converted, 1 some refused (see OUT/conversion.csv), 2 nothing could be done. '
        'A run that was interrupted goes on where it stopped; the source is only read.',
    )
    parser.add_argument('source', type=Path, help=f'folder or .zip file of {name} as its authors ship it')
    parser.add_argument('out', type=Path, help='folder of the converted set')
    parser.add_argument('--size', type=int, help='rescale so that the longer side has this many pixels')
    parser.add_argument('--val-fraction', type=float, default=0.2, help='share of the pictures (default 0.2)')
    parser.add_argument('--test-fraction', type=float, default=0.0, help='share of the pictures (default 0)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the split (default 0)')
    parser.add_argument('--overwrite', action='store_true', help='convert anew what is there')
    if options is not None:
        options(parser)
    args = parser.parse_args()
    if args.size is not None and args.size < 1:
        parser.error(f'--size must be positive, got {args.size}')
    if min(args.val_fraction, args.test_fraction) < 0 or args.val_fraction + args.test_fraction >= 1:
        parser.error('--val-fraction and --test-fraction must not be negative and leave something to train on')
    return args


class _opened:
    """The source as a folder; a zip file is extracted to a temporary one."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.temporary: tempfile.TemporaryDirectory | None = None

    def __enter__(self) -> Path:
        if self.source.is_dir():
            return self.source
        if not zipfile.is_zipfile(self.source):
            raise LayoutError(f'{self.source} is neither a folder nor a zip file')
        self.temporary = tempfile.TemporaryDirectory()
        with zipfile.ZipFile(self.source) as archive:
            archive.extractall(self.temporary.name)  # drops absolute paths and ".."
        folder = Path(self.temporary.name)
        while len(inside := [p for p in folder.iterdir() if p.name != '__MACOSX']) == 1 and inside[0].is_dir():
            folder = inside[0]
        return folder

    def __exit__(self, *exception: object) -> None:
        if self.temporary is not None:
            self.temporary.cleanup()


def _convert(samples: list[Sample], read_labels: ReadLabels, args: argparse.Namespace) -> int:
    if not samples:
        raise LayoutError(f'no picture found in {args.source}')
    source, out = args.source.resolve(), args.out.resolve()
    if out == source or source in out.parents:
        raise LayoutError(f'{args.out} lies inside the source {args.source}, which is never written to')
    _check_parameters(args)
    rows, images = [], {}
    for sample in tqdm(samples, unit='picture', disable=None):
        row = dict(stem=sample.stem, source=sample.image.name, group=sample.group, split='', status='', reason='')
        try:
            images[sample.stem], row['status'] = _convert_one(sample, read_labels, args)
        except Refused as error:
            row.update(status='refused', reason=str(error))
        rows.append(row)
    good = [sample for sample in samples if sample.stem in images]
    sides = split(good, args.val_fraction, args.test_fraction, args.seed)
    for row in rows:
        row['split'] = sides.get(row['stem'], '')
    _write_lists(args.out, sides, rows)
    _summarise(args.out, rows)
    if args.val_fraction > 0 and 'val' not in sides.values():
        print('  no validation split: all pictures are in one group, which is not divided')
    return 1 if len(good) < len(samples) else 0


def _check_parameters(args: argparse.Namespace) -> None:
    """Keep what the pictures were made with, and refuse to mix pictures made with something else."""
    path = args.out / 'conversion.json'
    given = {k: v for k, v in vars(args).items() if k not in ('source', 'out', 'overwrite')}
    split_only = ('seed', 'val_fraction', 'test_fraction')
    if path.is_file() and not args.overwrite:
        before = json.loads(path.read_text())
        changed = [k for k in given if k not in split_only and before.get(k) != given[k]]
        if changed:
            told = ', '.join(f'{k}={before.get(k)!r}, now {given[k]!r}' for k in changed)
            raise LayoutError(f'{args.out} was converted with {told}: give another folder, or --overwrite')
    for folder in ('images', 'masks', 'splits'):
        (args.out / folder).mkdir(parents=True, exist_ok=True)
    _write(path, (json.dumps(given, indent=1) + '\n').encode())


def _convert_one(sample: Sample, read_labels: ReadLabels, args: argparse.Namespace) -> tuple[str, str]:
    """Convert a picture unless it is there; return the name of its image and what was done."""
    mask_path = args.out / 'masks' / f'{sample.stem}.png'
    if not args.overwrite and mask_path.is_file():
        done = [p for p in (args.out / 'images').glob(f'{sample.stem}.*') if p.suffix in ('.png', '.jpg')]
        if done:
            return done[0].name, 'there'
    image = _decode(sample.image, cv2.IMREAD_COLOR)
    labels = read_labels(sample, args, image.shape[:2])
    if labels.shape != image.shape[:2]:
        sizes = [f'{shape[1]} x {shape[0]}' for shape in (labels.shape, image.shape)]
        raise Refused(f'the mask is {sizes[0]}, the image {sizes[1]}')
    name, content = _image_file(sample, image, args.size)
    if args.size:
        shape = _scaled_shape(image.shape, args.size)
        labels = cv2.resize(labels, shape[::-1], interpolation=cv2.INTER_NEAREST)
    # The mask comes last: where it is, the picture is complete.
    _write(args.out / 'images' / name, content)
    _write(mask_path, cv2.imencode('.png', labels)[1].tobytes())
    return name, 'converted'


def _image_file(sample: Sample, image: np.ndarray, size: int | None) -> tuple[str, bytes]:
    """Return name and content of the image: the source's own bytes where it is PNG or JPEG and keeps its size."""
    content = sample.image.read_bytes()
    suffix = next((s for magic, s in KEPT_SUFFIXES.items() if content.startswith(magic)), None)
    if size is None and suffix is not None:
        return sample.stem + suffix, content
    if size is not None:
        height, width = _scaled_shape(image.shape, size)
        shrinks = height < image.shape[0]
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return sample.stem + '.png', cv2.imencode('.png', image)[1].tobytes()


def _scaled_shape(shape: Sequence[int], size: int) -> tuple[int, int]:
    scale = size / max(shape[:2])
    return max(round(shape[0] * scale), 1), max(round(shape[1] * scale), 1)


def _write(path: Path, content: bytes) -> None:
    """Write a file at once: readers, and later runs, see all of it or nothing. Equal content is left alone."""
    if path.is_file() and path.read_bytes() == content:
        return
    part = path.with_name(f'.{path.name}.part')
    part.write_bytes(content)
    os.replace(part, path)


def _write_lists(out: Path, sides: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> None:
    for side in ('train', 'val', 'test'):
        stems = [stem for stem, own in sides.items() if own == side]
        if stems:
            _write(out / 'splits' / f'{side}.txt', ('\n'.join(stems) + '\n').encode())
    lines = ['stem,source,group,split,status,reason']
    for row in rows:
        status = 'converted' if row['status'] == 'there' else row['status']
        values = [row['stem'], row['source'], row['group'], row['split'], status, row['reason']]
        lines.append(','.join('"' + v.replace('"', '""') + '"' if set(v) & set(',"\n') else v for v in values))
    _write(out / 'conversion.csv', ('\n'.join(lines) + '\n').encode())


def _summarise(out: Path, rows: Sequence[Mapping[str, str]]) -> None:
    counts = Counter(row['status'] for row in rows)
    groups = {row['group'] for row in rows}
    print(f'{len(rows)} pictures in {len(groups)} groups: {counts["converted"]} converted, {counts["there"]} there '
          f'already, {counts["refused"]} refused; in {out}')
    for side, count in sorted(Counter(row['split'] for row in rows if row['split']).items()):
        held = {row['group'] for row in rows if row['split'] == side}
        print(f'  {side}: {count} pictures in {len(held)} groups')
    for row in rows:
        if row['status'] == 'refused':
            print(f'  refused: {row["source"]}: {row["reason"]}')


def read_table(path: Path, delimiter: str) -> list[dict[str, str]]:
    """Read a table whose names and values may be surrounded by blanks."""
    with path.open(newline='', encoding='utf-8-sig') as file:
        lines = [[cell.strip() for cell in line] for line in csv.reader(file, delimiter=delimiter)]
    header, *body = [line for line in lines if any(line)]
    return [dict(zip(header, line, strict=False)) for line in body]


def need_folder(source: Path, *names: str, name: str) -> Path:
    """Return the first of the folders that exists in the source, letter case apart.

    Raises:
        LayoutError: There is none.
    """
    inside = {p.name.casefold(): p for p in source.iterdir()}
    for wanted in names:
        found = inside.get(wanted.casefold())
        if found is not None and found.is_dir():
            return found
    listing = ', '.join(sorted(p.name for p in source.iterdir())[:8]) or 'nothing'
    raise LayoutError(f'{source} does not look like {name}: expected a folder {" or ".join(names)}, found {listing}')


def files_by_stem(folder: Path) -> dict[str, Path]:
    """List the files of a folder by stem, hidden ones left out."""
    return {p.stem: p for p in sorted(folder.iterdir()) if p.is_file() and not p.name.startswith('.')}
