"""Configs inside the package, by name."""

import difflib
from pathlib import Path

INSIDE = Path(__file__).resolve().parents[1] / '.mim'
"""Where an installation has the configs and tools of the repository, as OpenMMLab's own tools expect them."""


def configs() -> dict[str, Path]:
    """Return the configs inside the package by name: that of the file, below its folder where there is one."""
    root = INSIDE / 'configs'
    paths = sorted(path.relative_to(root) for path in root.rglob('*.py'))
    return {path.with_suffix('').as_posix(): root / path for path in paths if path.parts[0] != '_base_'}


def find_config(name: str | Path) -> Path:
    """Return the file of a config: as given, or the one of this name inside the package.

    Raises:
        FileNotFoundError: There is none; the message names some that are like it.
    """
    if Path(name).is_file():
        return Path(name)
    known = configs()
    wanted = Path(name).with_suffix('').as_posix()
    found = [path for own, path in known.items() if own == wanted or own.rpartition('/')[2] == wanted]
    if len(found) == 1:
        return found[0]
    close = difflib.get_close_matches(wanted.rpartition('/')[2], known, n=3, cutoff=0.5) or list(known)[:3]
    raise FileNotFoundError(
        f'{name} is neither a file nor a config of the package. Those are like {", ".join(close)}; '
        '"hyperbolic-seg train" names all'
    )
