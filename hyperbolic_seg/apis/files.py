"""Image files, as a user names them."""

import glob
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def images_in(folder: str | Path, *, without: str | Path | None = None) -> list[str]:
    """List the image files of a folder and its subfolders, sorted.

    Args:
        folder: The folder.
        without: A folder to leave out, such as that of results.

    Raises:
        FileNotFoundError: There is none.
    """
    left_out = None if without is None else os.path.realpath(without)  # other than resolve(), bears a link to itself
    images = (path for path in Path(folder).rglob('*') if path.suffix.lower() in IMAGE_SUFFIXES)
    found = sorted(str(p) for p in images if left_out is None or not Path(os.path.realpath(p)).is_relative_to(left_out))
    if not found:
        raise FileNotFoundError(f'no image in {folder}; looked for {", ".join(IMAGE_SUFFIXES)}')
    return found


def find_images(given: Sequence[str | Path], *, without: str | Path | None = None) -> list[str]:
    """Expand folders and globs; a name that is neither is kept, to be refused by name later.

    Args:
        given: Files, folders and globs.
        without: A folder that is left out within others, such as that of results.

    Raises:
        FileNotFoundError: Nothing matches a glob, or there is no image in a folder.
    """
    found: list[str] = []
    for name in map(str, given):
        if Path(name).is_dir():
            found += images_in(name, without=without)
        elif Path(name).exists() or not glob.has_magic(name):
            found.append(name)
        else:
            matches = sorted(glob.glob(name, recursive=True))
            if not matches:
                raise FileNotFoundError(f'nothing matches {name}')
            found += matches
    return list(dict.fromkeys(found))


def output_names(paths: Sequence[str]) -> list[str]:
    """Return a distinct name for the outputs of every image: its stem, or its path where stems collide."""
    stems = [Path(path).stem for path in paths]
    taken = Counter(stems)
    if all(count == 1 for count in taken.values()):
        return stems
    absolute = [os.path.abspath(path) for path in paths]
    common = os.path.commonpath([os.path.dirname(path) for path in absolute])
    names = [os.path.relpath(path, common).replace(os.sep, '__') for path in absolute]
    return [stem if taken[stem] == 1 else name for stem, name in zip(stems, names, strict=True)]
