"""Configs inside the package, by name."""

import difflib
from pathlib import Path

__all__ = ['INSIDE', 'find_config', 'list_configs']

INSIDE = Path(__file__).resolve().parents[1] / '.mim'
"""Folder in which an installation has the configs and tools of the repository, as OpenMMLab's own tools expect them."""


def list_configs() -> dict[str, Path]:
    """Return the configs inside the package by name, such as ``'unet_cloud'`` or ``'zero_shot/sclip_vitb16_sky'``."""
    root = INSIDE / 'configs'
    paths = sorted(path.relative_to(root) for path in root.rglob('*.py'))
    return {path.with_suffix('').as_posix(): root / path for path in paths if path.parts[0] != '_base_'}


def find_config(name: str | Path) -> Path:
    """Return the file of a config: the given file, or else the config of this name inside the package.

    Raises:
        FileNotFoundError: There is neither; the message names similar configs.
    """
    if Path(name).is_file():
        return Path(name)
    known = list_configs()
    wanted = Path(name).with_suffix('').as_posix()
    if wanted in known:
        return known[wanted]
    found = [path for own, path in known.items() if own.rpartition('/')[2] == wanted]
    if len(found) == 1:
        return found[0]
    close = difflib.get_close_matches(wanted.rpartition('/')[2], known, n=3, cutoff=0.5) or list(known)[:3]
    raise FileNotFoundError(
        f'{name} is neither a file nor a config of the package. Similar ones are {", ".join(close)}; '
        '"hyperbolic-seg train" lists all'
    )
