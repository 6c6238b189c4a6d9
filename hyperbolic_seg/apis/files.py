"""Image files, as a user names them."""

import glob
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def images_in(folder: str | Path) -> list[str]:
    """List the image files of a folder and its subfolders, sorted.

    Raises:
        FileNotFoundError: There is none.
    """
    found = sorted(str(p) for p in Path(folder).rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise FileNotFoundError(f'no image in {folder}; looked for {", ".join(IMAGE_SUFFIXES)}')
    return found


def find_images(given: Sequence[str | Path]) -> list[str]:
    """Expand folders and globs; a name that is neither is kept, to be refused by name later.

    Raises:
        FileNotFoundError: Nothing matches a glob, or there is no image in a folder.
    """
    found: list[str] = []
    for name in map(str, given):
        if Path(name).is_dir():
            found += images_in(name)
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
