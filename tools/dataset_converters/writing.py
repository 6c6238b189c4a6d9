"""Atomic file writes, so that an interrupted run can be resumed."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from errors import Refused, UsageError
from images import decode

# The library need not be installed: its module for files, which needs nothing else, is in the same checkout.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from hyperbolic_seg.files import PART_SUFFIX, write_whole

MEND = 'give another OUT, or --overwrite to replace it'
FOLDERS = ('images', 'masks', 'splits')


def write_if_changed(path: Path, content: bytes) -> None:
    """Write a file unless it already has this content."""
    if not path.is_file() or path.read_bytes() != content:
        write_whole(path, content)


def put(path: Path, wanted: bytes | np.ndarray, *, overwrite: bool) -> int:
    """Write an image unless it exists.

    Args:
        path: Path of the file.
        wanted: Content of the file, or the pixels of a PNG.
        overwrite: Whether a file with other content is replaced.

    Returns:
        Number of files written, 0 or 1.

    Raises:
        UsageError: A file with other content exists.
    """
    if path.exists():
        if _holds(path, wanted):
            return 0
        if not overwrite:
            raise UsageError(
                f'{path} is not what this command makes '
                f'(made with other options, from another source, or damaged): {MEND}'
            )
    if isinstance(wanted, np.ndarray):
        done, encoded = cv2.imencode('.png', wanted)
        if not done:
            raise OSError(f'OpenCV could not encode {path}')
        wanted = encoded.tobytes()
    write_whole(path, wanted)
    return 1


def _holds(path: Path, wanted: bytes | np.ndarray) -> bool:
    """Compare pixels where this code encodes the image, because the bytes depend on the version of OpenCV."""
    content = path.read_bytes()
    if isinstance(wanted, bytes):
        return content == wanted
    try:
        there = decode(content, cv2.IMREAD_UNCHANGED, path.name)
    except Refused:
        return False
    return there.dtype == wanted.dtype and np.array_equal(there, wanted)


def prepare(out: Path, parameters: Mapping[str, Any], *, overwrite: bool) -> None:
    """Create the folders, remove partial files of a killed run, and check the parameters of an earlier one.

    Raises:
        UsageError: The folder was made with other parameters.
    """
    record = out / 'parameters.json'
    if record.exists() and not overwrite:
        try:
            found = json.loads(record.read_text(encoding='utf-8'))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UsageError(f'{record} is damaged: {MEND}')
        changed = [
            f'{name}: {found.get(name)} there, {parameters.get(name)} now'
            for name in sorted(found.keys() | parameters.keys())
            if found.get(name) != parameters.get(name)
        ]
        if changed:
            raise UsageError(f'{out} was made with other options ({"; ".join(changed)}): {MEND}')
    for folder in (out, *(out / name for name in FOLDERS)):
        folder.mkdir(parents=True, exist_ok=True)
        for stray in folder.glob(f'.*{PART_SUFFIX}'):
            if stray.is_dir() and not stray.is_symlink():
                shutil.rmtree(stray)
    write_if_changed(record, (json.dumps(parameters, indent=2, sort_keys=True) + '\n').encode())
