"""Layout of a data set on disk: its source, its images and masks, and their groups."""

import argparse
import csv
import io
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from errors import Refused, UsageError
from tqdm import tqdm
from writing import FOLDERS

IMAGE_SUFFIXES = frozenset({'.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp'})


@dataclass(frozen=True)
class Sample:
    """An image of the data set.

    Attributes:
        stem: Name in our layout.
        source: The image, or the mask if that is all there is.
        mask: The mask, or the image again where the whole image has one label.
        group: Images that must stay in one split share a group, such as the capture day.
        stratum: Every split gets its share of each stratum, such as a genus.
        problem: Why the sample must be refused; empty for a good one.
    """

    stem: str
    source: Path
    mask: Path
    group: str = ''
    stratum: str = ''
    problem: str = ''


@dataclass(frozen=True)
class DataSet:
    """Layout of a data set and the meaning of its masks.

    Attributes:
        name: Name of the data set.
        layout: The layout in words, for help and errors.
        has_layout: Whether a folder has that layout.
        list_samples: The samples in such a folder, in any order.
        read_mask: Our mask (H, W) of a sample whose image has the given (height, width).
        add_options: Adds options of this data set alone.
    """

    name: str
    layout: str
    has_layout: Callable[[Path, argparse.Namespace], bool]
    list_samples: Callable[[Path, argparse.Namespace], list[Sample]]
    read_mask: Callable[[Sample, tuple[int, int], argparse.Namespace], np.ndarray]
    add_options: Callable[[argparse.ArgumentParser], None] | None = None


def list_images(folder: Path, *, bare_names: bool = False) -> list[Path]:
    """List the image files of a folder by name.

    Args:
        folder: The folder; subfolders are not searched.
        bare_names: Whether files without a suffix are images too.
    """
    suffixes = IMAGE_SUFFIXES | ({''} if bare_names else set())
    files = (path for path in folder.iterdir() if not path.name.startswith('.'))
    return sorted(path for path in files if path.suffix.lower() in suffixes and path.is_file())


def pair_up(
    images: Iterable[Path],
    masks: Iterable[Path],
    *,
    mask_ending: str = '',
    group: Callable[[str], str] = str,
) -> list[Sample]:
    """Pair images and masks by name.

    Args:
        images: Image files; the stem of the file names the sample.
        masks: Mask files, named like their image and the ending.
        mask_ending: What follows the image's stem in the mask's.
        group: Group of a stem, by default a group of its own; raises :class:`Refused` if unknown.
    """
    by_stem: dict[str, list[Path]] = {}
    for mask in masks:
        by_stem.setdefault(mask.stem, []).append(mask)
    samples, used = [], set()
    for image in images:
        name = f'{image.stem}{mask_ending}'
        found = by_stem.get(name, [])
        used.add(name)
        sample = Sample(image.stem, image, found[0] if found else image)
        try:
            if len(found) != 1:
                raise Refused(f'there are {len(found) or "no"} masks called {name}, expected one')
            samples.append(replace(sample, group=group(image.stem)))
        except Refused as error:
            samples.append(replace(sample, problem=str(error)))
    alone = [mask for name in by_stem.keys() - used for mask in by_stem[name]]
    for mask in alone:
        stem = mask.stem.removesuffix(mask_ending)
        samples.append(Sample(stem, mask, mask, problem='there is no image for this mask'))
    return samples


def capture_days(table: Path) -> Callable[[str], str]:
    """Make the group function of a set whose table gives each image's capture day.

    Args:
        table: Columns ``Number`` and ``Date`` (YYYYMMDD) among others, between commas or tabs.

    Raises:
        UsageError: The columns are missing, or an image has two days.
    """
    text = table.read_text(encoding='utf-8-sig', errors='replace')
    delimiter = '\t' if '\t' in text.partition('\n')[0] else ','
    lines = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    header, *rows = [[cell.strip() for cell in line] for line in lines] or [[]]
    if not {'Number', 'Date'} <= set(header):
        raise UsageError(f'{table} should have columns Number and Date, found: {", ".join(header)}')
    number, date = header.index('Number'), header.index('Date')
    days: dict[int, str] = {}
    for row in rows:
        if len(row) <= max(number, date) or not row[number].isdecimal() or not _is_day(row[date]):
            continue
        if days.setdefault(int(row[number]), row[date]) != row[date]:
            raise UsageError(f'{table} gives image {row[number]} two different capture days')

    def day_of(stem: str) -> str:
        if not stem.isdecimal() or int(stem) not in days:
            raise Refused(f'{table.name} gives no capture day for it')
        return days[int(stem)]

    return day_of


def _is_day(text: str) -> bool:
    return len(text) == 8 and text.isdecimal()


def refuse_repeated_stems(samples: Iterable[Sample]) -> list[Sample]:
    """Sort samples and refuse those that would be written to the same file."""
    samples = sorted(samples, key=lambda sample: (sample.stem, sample.source.as_posix()))
    # Some file systems do not distinguish A from a.
    times = Counter(sample.stem.casefold() for sample in samples if not sample.problem)
    checked = []
    for sample in samples:
        if not sample.problem and times[sample.stem.casefold()] > 1:
            sample = replace(sample, problem='the data set has several images of this name')
        checked.append(sample)
    return checked


@contextmanager
def open_source(source: Path) -> Iterator[Path]:
    """Yield the folder to read from: the source itself, or the unpacked content of a zip file.

    Raises:
        UsageError: It is neither a folder nor a zip, or the zip would write outside its folder.
    """
    if source.is_dir():
        yield source
        return
    if not source.exists():
        raise UsageError(f'SOURCE {source} does not exist')
    if not zipfile.is_zipfile(source):
        raise UsageError(f'SOURCE {source} is neither a folder nor a .zip file')
    with tempfile.TemporaryDirectory(prefix='conversion-') as folder:
        _extract(source, Path(folder))
        yield Path(folder)


def _extract(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        members = [member for member in content.infolist() if not member.is_dir()]
        for member in members:
            # Both readings of the name, because a backslash separates folders on some systems.
            for path in (PurePosixPath(member.filename), PureWindowsPath(member.filename)):
                if path.is_absolute() or path.drive or path.root or '..' in path.parts:
                    raise UsageError(f'{archive} holds the unsafe file name {member.filename!r}')
        try:
            for member in tqdm(members, desc='unpacking', unit='file'):
                content.extract(member, folder)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise UsageError(f'{archive} cannot be unpacked: {error}') from None


def find_root(source: Path, data_set: DataSet, options: argparse.Namespace) -> Path:
    """Find the folder with the data set's layout: the source or up to two levels below it.

    Raises:
        UsageError: There is none, or several.
    """
    level = [source]
    for _ in range(3):
        roots = [folder for folder in level if data_set.has_layout(folder, options)]
        if len(roots) == 1:
            return roots[0]
        if roots:
            names = ', '.join(folder.relative_to(source).as_posix() for folder in roots)
            raise UsageError(f'SOURCE holds {data_set.name} more than once: give one of {names}')
        level = sorted(child for folder in level for child in folder.iterdir() if _is_folder(child))
    found = sorted(path.name + ('/' if path.is_dir() else '') for path in source.iterdir())
    shown = ', '.join(found[:10]) + (f' and {len(found) - 10} more' if len(found) > 10 else '')
    raise UsageError(
        f'SOURCE does not have the layout of {data_set.name}\n'
        f'expected: {data_set.layout}\nfound: {shown or "an empty folder"}'
    )


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(('.', '__'))


def check_apart(source: Path, out: Path) -> None:
    """Check that nothing will be written into the source.

    Raises:
        UsageError: The output is in the source, or the source where the output goes.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f'OUT {out} is a file, expected a folder')
    source = source.resolve()
    targets = [out.resolve(), *((out / folder).resolve() for folder in FOLDERS)]
    for target in targets:
        if target == source or source in target.parents:
            raise UsageError(f'OUT {out} would write into SOURCE {source}: give another OUT')
    if any(target in source.parents for target in targets[1:]):
        raise UsageError(f'SOURCE {source} lies where OUT {out} is written: give another OUT')
