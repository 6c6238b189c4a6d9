"""Selection of the images in the folders of cameras, among thumbnails, keograms, star trails and links."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from hyperbolic_seg.files import IMAGE_SUFFIXES, is_image_name, printable

DERIVED = (
    'thumbnail*',
    'thumbs',
    '*keogram*',
    '*startrail*',
    '*star-trail*',
    '*star_trail*',
    'panorama*',
    'image.*',
    'image-resize.*',
    'liveview-image.*',
    'latest.*',
    'current.*',
    'darks',
)
"""Patterns of what AllSky, indi-allsky and others write beside their images: made from them, copies, dark frames."""


@dataclass(frozen=True)
class Selection:
    """Patterns of the images of a folder that are left out, and of those that are taken nevertheless.

    A pattern has ``*``, ``?`` and ``[abc]`` of the shell, in any case of letters. One without a slash matches the name
    of the image or of a folder on the way to it; one with a slash matches the path below the folder from its beginning,
    and ``*`` matches slashes as well.

    Args:
        include: Patterns of images that are taken whatever the others say.
        exclude: Patterns of images that are left out.
        derived: Patterns that leave images out by default, see :data:`DERIVED`.

    Raises:
        ValueError: A pattern is empty.

    Example:
        >>> selection = Selection(exclude=('2024/0[1-3]',))
        >>> selection.left_out('2024/02/a.jpg'), selection.left_out('2024/08/a.jpg')
        ('2024/0[1-3]', None)
        >>> selection.left_out('2024/08/Thumbnails/a.jpg')
        'thumbnail*'
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    derived: tuple[str, ...] = DERIVED

    def __post_init__(self) -> None:
        if not all(pattern.strip('/') for pattern in (*self.include, *self.exclude)):
            raise ValueError("an empty pattern: expected one such as 'thumbnails' or '*_raw.*'")

    def left_out(self, name: str) -> str | None:
        """Return the pattern that leaves an image out; ``None`` if it is taken.

        Args:
            name: Path below the folder, with slashes.
        """
        if any(_matches(name, pattern) for pattern in self.include):
            return None
        return next((pattern for pattern in (*self.exclude, *self.derived) if _matches(name, pattern)), None)

    def note(self, patterns: Counter[str]) -> str | None:
        """Return what to tell a person of the images that are left out by default; ``None`` if there are none.

        Args:
            patterns: How many images each pattern leaves out.
        """
        counts = {pattern: count for pattern, count in patterns.items() if pattern not in self.exclude}
        if not counts:
            return None
        each = ', '.join(f'{count} by {pattern}' for pattern, count in sorted(counts.items()))
        total = sum(counts.values())
        plural = 'image is' if total == 1 else 'images are'
        taking = f"--include '{min(counts)}'" if len(counts) == 1 else '--include with such a pattern'
        return f'{total} {plural} left out by default ({each}); {taking} takes {"it" if total == 1 else "them"}'


class Found(NamedTuple):
    """Images that were found."""

    files: list[str]
    notes: list[str]
    """What to tell a person."""


def select_images(given: Sequence[str | Path], selection: Selection, *, without: str | Path | None = None) -> Found:
    """Expand folders and globs; a name that is neither is kept, to be refused by name later.

    The selection is for folders: what is named, or matches a glob, is taken. A folder gives no image twice, through a
    link to an image in it, and links in it to folders are not followed.

    Args:
        given: Files, folders and globs.
        selection: The selection.
        without: A folder that is left out within others, such as that of results; not within itself.

    Raises:
        FileNotFoundError: Nothing matches a glob, or there is no image in a folder.
        ValueError: A folder is that of the results.
    """
    files: list[str] = []
    notes: list[str] = []
    for name in map(str, given):
        if Path(name).is_dir():
            found = _select_in(Path(name), selection, without)
            files, notes = files + found.files, notes + found.notes
        elif Path(name).exists() or not glob.has_magic(name):
            files.append(name)
        else:
            matches = sorted(glob.glob(name, recursive=True))
            if not matches:
                raise FileNotFoundError(f'nothing matches {name}')
            files += matches
    return Found(list(dict.fromkeys(files)), list(dict.fromkeys(notes)))


def walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the images of a folder and its subfolders, and links to folders, which are not followed.

    Names that begin with a dot are left out, because cameras use them for incomplete files.

    Yields:
        The path, and whether it is a link to a folder.
    """
    pending = [folder]
    while pending:  # a loop, because os.walk recurses and fails at a thousand nested folders
        parent = pending.pop()
        try:
            with os.scandir(parent) as listed:
                entries = [entry for entry in listed if not entry.name.startswith('.')]
        except OSError:  # removed since it was listed, or not readable
            continue
        for entry in entries:
            path = parent / entry.name
            if _is_folder(entry):
                pending.append(path)
            elif os.path.islink(path) and os.path.isdir(path):
                yield path, True
            elif is_image_name(entry.name):
                yield path, False


def without_links(folder: Path, paths: Sequence[Path]) -> list[Path]:
    """Return the paths of images in a folder without links to others among them, and with one of several links.

    Args:
        folder: The folder.
        paths: Images and links, as :func:`walk` yields them.
    """
    links = sorted(path for path in paths if os.path.islink(path))
    if not links:
        return list(paths)
    # No link to a folder is on the way to an image, so that this is its real path; to resolve each takes seconds.
    root, linked = os.path.realpath(folder), set(links)
    kept = {os.path.join(root, path.relative_to(folder)): path for path in paths if path not in linked}
    for link in links:
        kept.setdefault(os.path.realpath(link), link)
    return list(kept.values())


def _select_in(folder: Path, selection: Selection, without: str | Path | None) -> Found:
    left_out, links, paths = Counter[str](), list[Path](), list[Path]()
    results = None if without is None else os.path.realpath(without)  # other than resolve(), bears a link to itself
    own = os.path.realpath(folder)
    if own == results:
        raise ValueError(f'{printable(folder)} is the folder of the results: give another one for them, by --out')
    if results is not None and Path(own).is_relative_to(results):
        results = None  # it is named itself, and so wanted
    for path, is_link_to_folder in walk(folder):
        if results is not None and Path(os.path.realpath(path)).is_relative_to(results):
            continue
        pattern = selection.left_out(path.relative_to(folder).as_posix())
        if is_link_to_folder:
            links += [] if pattern else [path]
        elif pattern is None:
            paths.append(path)
        else:
            left_out[pattern] += 1
    note = selection.note(left_out)
    if not paths:
        suffixes = ', '.join(IMAGE_SUFFIXES)
        raise FileNotFoundError(f'no image in {folder}; looked for {suffixes}' + ('' if note is None else f'; {note}'))
    notes = [f'{printable(path)} is a link to a folder, which is not followed: name that folder' for path in links]
    notes += [] if note is None else [f'{printable(folder)}: {note}']
    return Found(sorted(map(str, without_links(folder, paths))), notes)


def _matches(name: str, pattern: str) -> bool:
    path, wanted = PurePosixPath(name.lower()), pattern.lower().strip('/')
    if '/' in pattern.rstrip('/'):
        return any(fnmatchcase(str(part), wanted) for part in (path, *path.parents))
    return any(fnmatchcase(part, wanted) for part in path.parts)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
