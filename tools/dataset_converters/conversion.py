"""Shared code of the converters: from a data set's own layout to the layout of this project.

.. code-block:: none

    OUT
    ├── images/STEM.png     or .jpg, one suffix per data set
    ├── masks/STEM.png      8 bit, one channel: 0 clear sky, 1 cloud, 255 ignore
    ├── splits/train.txt    and val.txt, test.txt: stems, one a line
    ├── conversion.csv      every image found: its source, group and split, or why it was refused
    └── parameters.json     the options it was made with

Needs only numpy, OpenCV and tqdm, so that the scripts of a checkout run where the library is not installed.
"""

import argparse
import csv
import hashlib
import io
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from errors import Refused, UsageError
from images import decode, image_format, read_file, rescale
from layout import DataSet, Sample, check_apart, find_root, open_source, refuse_repeated_stems
from splits import split_groups
from tqdm import tqdm
from writing import MEND, prepare, put, write_if_changed

SPLITS = ('train', 'val', 'test')
COLUMNS = ('stem', 'source', 'group', 'split', 'status', 'reason')


@dataclass(frozen=True)
class Row:
    """The result of one sample: converted, or refused with a reason."""

    sample: Sample
    reason: str = ''
    digest: str = ''
    written: int = 0


def image_suffix(samples: Iterable[Sample], size: int | None) -> str:
    """Choose the one suffix of the images: '.jpg' if all are JPEG and stay as they are."""
    if size is not None:
        return '.png'
    suffixes = set()
    for sample in samples:
        if not sample.problem and cv2.haveImageReader(str(sample.source)):
            with sample.source.open('rb') as file:
                suffixes.add(image_format(file.read(16)))
    return '.jpg' if suffixes == {'.jpg'} else '.png'


def convert_sample(
    sample: Sample,
    data_set: DataSet,
    suffix: str,
    options: argparse.Namespace,
) -> Row:
    """Write image and mask of one sample.

    Raises:
        Refused: The sample cannot be converted.
        UsageError: A file with other content has this name already.
    """
    if sample.problem:
        raise Refused(sample.problem)
    content = read_file(sample.source)
    image = decode(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, sample.source.name)
    if image.dtype != np.uint8:
        raise Refused(f'{sample.source.name} holds {image.dtype}, expected 8 bits a channel')
    height, width = image.shape[:2]
    labels = data_set.read_mask(sample, (height, width), options)
    if labels.shape != (height, width):
        sizes = f'{width}x{height} and {labels.shape[1]}x{labels.shape[0]}'
        raise Refused(f'image and mask differ in size: {sizes}')
    scaled = rescale(image, options.size)
    as_it_is = scaled is image and image_format(content) == suffix
    written = put_image(sample.stem, suffix, content if as_it_is else scaled, options)
    mask_file = options.out / 'masks' / f'{sample.stem}.png'
    scaled_labels = rescale(labels, options.size, is_mask=True)
    written += put(mask_file, scaled_labels, overwrite=options.overwrite)
    return Row(sample, digest=hashlib.sha256(content).hexdigest(), written=written)


def put_image(
    stem: str,
    suffix: str,
    wanted: bytes | np.ndarray,
    options: argparse.Namespace,
) -> int:
    """Write an image unless it exists, under one suffix only."""
    folder = options.out / 'images'
    for other in {'.png', '.jpg'} - {suffix}:
        twin = folder / f'{stem}{other}'
        if twin.exists() and not options.overwrite:
            raise UsageError(f'{twin} is not what this command makes, {stem}{suffix} is: {MEND}')
        twin.unlink(missing_ok=True)
    return put(folder / f'{stem}{suffix}', wanted, overwrite=options.overwrite)


def convert_all(
    samples: list[Sample],
    data_set: DataSet,
    suffix: str,
    options: argparse.Namespace,
) -> list[Row]:
    """Convert every sample that can be converted; note why the others cannot."""
    rows = []
    for sample in tqdm(samples, desc=data_set.name, unit='image'):
        try:
            rows.append(convert_sample(sample, data_set, suffix, options))
        except Refused as error:
            rows.append(Row(sample, reason=str(error)))
    return keep_copies_together(rows)


def keep_copies_together(rows: list[Row]) -> list[Row]:
    """Give byte-identical images one group where each image is a group of its own."""
    first: dict[str, str] = {}
    together = []
    for row in rows:
        sample = row.sample
        if not row.reason and sample.group == sample.stem:
            sample = replace(sample, group=first.setdefault(row.digest, sample.stem))
        together.append(replace(row, sample=sample))
    return together


def assign_splits(rows: Iterable[Row], options: argparse.Namespace) -> dict[str, str]:
    """Assign the groups of the converted samples to splits."""
    samples = [row.sample for row in rows if not row.reason]
    return split_groups(
        Counter(sample.group for sample in samples),
        val_fraction=options.val_fraction,
        test_fraction=options.test_fraction,
        seed=options.seed,
        strata={sample.group: sample.stratum for sample in samples},
    )


def write_tables(out: Path, root: Path, rows: list[Row], splits: Mapping[str, str]) -> None:
    """Write the splits and the table of the conversion."""
    stems: dict[str, list[str]] = {split: [] for split in SPLITS}
    table = io.StringIO()
    writer = csv.writer(table, lineterminator='\n')
    writer.writerow(COLUMNS)
    for row in rows:
        sample, split, status = row.sample, '', 'refused'
        if not row.reason:
            split, status = splits[sample.group], 'converted'
            stems[split].append(sample.stem)
        source = sample.source.relative_to(root).as_posix()
        writer.writerow([sample.stem, source, sample.group, split, status, row.reason])
    for split, names in stems.items():
        content = ''.join(f'{name}\n' for name in names)
        write_if_changed(out / 'splits' / f'{split}.txt', content.encode())
    write_if_changed(out / 'conversion.csv', table.getvalue().encode())


def summary(name: str, rows: list[Row], splits: Mapping[str, str], suffix: str) -> str:
    """Summarize the conversion: counts, splits, and why samples were refused."""
    good = [row for row in rows if not row.reason]
    refused = [row for row in rows if row.reason]
    written = sum(row.written for row in good)
    lines = [
        f'{name}: {len(good)} images converted, {len(refused)} refused',
        f'files: {written} written, {2 * len(good) - written} existed already',
    ]
    images = Counter(splits[row.sample.group] for row in good)
    groups = Counter(splits.values())
    for split in SPLITS:
        part = images[split] / max(1, len(good))
        counts = f'{images[split]:6d} images ({part:.1%}), groups: {groups[split]}'
        lines.append(f'{split:5s} {counts}')
    strata = Counter(row.sample.stratum for row in good if row.sample.stratum)
    if strata:
        lines.append('labels: ' + ', '.join(f'{label} {n}' for label, n in sorted(strata.items())))
    lines.append(f'images end in {suffix}: a config for them sets img_suffix={suffix!r}')
    for row in refused:
        lines.append(f'refused {row.sample.stem} ({row.sample.source.name}): {row.reason}')
    return '\n'.join(lines)


def remarks(
    rows: list[Row],
    splits: Mapping[str, str],
    options: argparse.Namespace,
) -> list[str]:
    """Return warnings about the result: empty splits and files of unknown origin."""
    lines = []
    for split, part in (('val', options.val_fraction), ('test', options.test_fraction)):
        if part and split not in splits.values():
            lines.append(f'{split} is empty: there are too few groups to divide')
    stems = {row.sample.stem for row in rows if not row.reason}
    files = sorted([*options.out.glob('images/*'), *options.out.glob('masks/*')])
    unknown = [path for path in files if path.stem not in stems]
    if unknown:
        shown = ', '.join(path.name for path in unknown[:5]) + (', ...' if unknown[5:] else '')
        lines.append(f'{len(unknown)} files in OUT belong to none of these images: {shown}')
    return lines


def convert(data_set: DataSet, source: Path, options: argparse.Namespace) -> int:
    """Convert a folder; return the exit code.

    Raises:
        UsageError: The source does not have the layout, or the output does not fit the options.
    """
    root = find_root(source, data_set, options)
    samples = refuse_repeated_stems(data_set.list_samples(root, options))
    if not samples:
        raise UsageError(f'{root} has no images in it\nexpected: {data_set.layout}')
    apart = {'source', 'out', 'overwrite'}
    parameters = {name: value for name, value in vars(options).items() if name not in apart}
    prepare(options.out, {'data_set': data_set.name, **parameters}, overwrite=options.overwrite)
    suffix = image_suffix(samples, options.size)
    rows = convert_all(samples, data_set, suffix, options)
    splits = assign_splits(rows, options)
    write_tables(options.out, root, rows, splits)
    print(summary(data_set.name, rows, splits, suffix))
    for line in remarks(rows, splits, options):
        print(f'warning: {line}', file=sys.stderr)
    return 1 if any(row.reason for row in rows) else 0


def parse_args(data_set: DataSet, argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=f'Convert {data_set.name}: {data_set.layout}.',
        epilog='A run that was interrupted is continued by the same command. Exit code: 0 if all '
        'images were converted, 1 if some were refused, 2 if the command cannot be carried out.',
    )
    add = parser.add_argument
    add('source', metavar='SOURCE', type=Path, help='folder or .zip file of the data set')
    add('out', metavar='OUT', type=Path, help='folder for images/, masks/, splits/')
    add('--size', type=int, metavar='N', help='scale so that the longer side is N pixels')
    add('--val-fraction', type=float, default=0.2, metavar='F', help='of images (default 0.2)')
    add('--test-fraction', type=float, default=0.0, metavar='F', help='of images (default 0)')
    add('--seed', type=int, default=0, help='of the split (default 0)')
    add('--overwrite', action='store_true', help='replace files made with other options')
    if data_set.add_options is not None:
        data_set.add_options(parser)
    options = parser.parse_args(argv)
    if options.size is not None and options.size < 1:
        parser.error(f'--size must be at least 1, got {options.size}')
    for name, part in (('val', options.val_fraction), ('test', options.test_fraction)):
        if not 0 <= part < 1:
            parser.error(f'--{name}-fraction must be in [0, 1), got {part}')
    if options.val_fraction + options.test_fraction >= 1:
        parser.error('--val-fraction and --test-fraction leave nothing to train on')
    return options


def main(data_set: DataSet, argv: list[str] | None = None) -> int:
    """Run a converter; return its exit code."""
    options = parse_args(data_set, argv)
    try:
        check_apart(options.source, options.out)
        with open_source(options.source) as source:
            return convert(data_set, source, options)
    except (UsageError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted: the same command continues', file=sys.stderr)
        return 130
