"""Files of results on any file system: each is there as a whole or not at all."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from hyperbolic_seg.files import remove_parts, write_whole

_OBJECT_STORES = frozenset({'s3', 's3a', 'gs', 'gcs', 'abfs', 'abfss', 'az', 'adl', 'memory'})
"""Protocols of stores where a file appears when the last byte of it has come."""


def is_local(fs: Any) -> bool:
    """Return whether a file system is that of this machine."""
    return 'file' in _protocols(fs)


def put(fs: Any, path: str, content: bytes) -> None:
    """Write a file as a whole, and its folder if need be.

    Raises:
        OSError: It cannot be written.
    """
    if is_local(fs):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    elif _protocols(fs) & _OBJECT_STORES:
        fs.pipe_file(path, content)
    else:
        fs.makedirs(fs._parent(path), exist_ok=True)
        part = f'{fs._parent(path)}/.{uuid4().hex}.part'
        fs.pipe_file(part, content)
        fs.mv(part, path)


def put_folder(fs: Any, path: str, folder: Path, *, last: Sequence[str]) -> None:
    """Write a folder of files in place of the one that is there.

    Args:
        fs: File system.
        path: Where it goes.
        folder: A folder of this machine; it is moved if the file system is local.
        last: The files by which readers know the folder. They are removed first and written last.

    Raises:
        OSError: It cannot be written.
    """
    if is_local(fs):
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f'.{uuid4().hex}.part')  # on the same disk, which a move needs
        shutil.copytree(folder, part)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(part, target)
        return
    for name in last:
        if fs.exists(f'{path}/{name}'):
            fs.rm_file(f'{path}/{name}')
    if fs.exists(path):
        fs.rm(path, recursive=True)
    roots = [folder / name for name in last]
    files = sorted(file for file in folder.rglob('*') if file.is_file() and file not in roots)
    for file in (*files, *roots):
        put(fs, f'{path}/{file.relative_to(folder).as_posix()}', file.read_bytes())


def names_in(fs: Any, path: str, suffix: str) -> dict[str, str]:
    """Return the paths in a folder with a suffix, by their stems; none if there is no such folder."""
    fs.invalidate_cache()
    if not fs.exists(path):
        return {}
    paths = [info['name'].rstrip('/') for info in fs.ls(path, detail=True)]
    return {name.rpartition('/')[2].removesuffix(suffix): name for name in sorted(paths) if name.endswith(suffix)}


def remove_unfinished(fs: Any, root: str) -> None:
    """Remove what killed processes have left of local files; call it while no other process writes there."""
    if is_local(fs):
        remove_parts(root)


def _protocols(fs: Any) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
