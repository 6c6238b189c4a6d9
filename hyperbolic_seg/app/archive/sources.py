"""Sources of an archive: the pictures of a folder, a bucket or tar shards, listed and read by fsspec."""

import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import fsspec
from fsspec.implementations.local import LocalFileSystem

from hyperbolic_seg.app.selection import Selection
from hyperbolic_seg.files import is_image_name, printable

SHARD_SUFFIX = '.tar'
"""Suffix of shards: tar files without compression, in which a picture is a range of bytes."""
_PACKED = ('.tar.gz', '.tgz', '.tar.bz2', '.tbz2', '.tar.xz', '.txz', '.tar.zst')
_VERSIONS = ('ETag', 'etag', 'md5Hash', 'content_md5', 'checksum', 'mtime', 'LastModified', 'last_modified', 'created')
"""What file systems call a checksum of a file or the time of its change, the best first."""
_TIMES = ('mtime', 'LastModified', 'last_modified', 'updated', 'created')
_HEADERS = 2**16  # bytes that are read at once while the headers of a shard are listed


class Picture(NamedTuple):
    """A picture of a source, as it was listed."""

    key: str
    """Its name below the source, with slashes; within a shard that of the shard and of the member."""
    path: str
    """File that holds it."""
    size: int
    """Bytes."""
    version: str
    """Checksum or time of change of that file."""
    offset: int | None
    """First byte in a shard; ``None`` if it is a file of its own."""
    changed: float | None
    """Time of its change in seconds since 1970, if it is known."""


class Listing(NamedTuple):
    """Pictures that were found."""

    pictures: list[Picture]
    """Sorted by key, each key once."""
    notes: list[str]
    """What to tell a person."""


def file_system(address: str) -> tuple[Any, str]:
    """Return the file system of a folder or an address such as ``s3://bucket/folder``, and the path on it.

    Addresses and credentials of services come from the environment or the configuration of fsspec, never from us.

    Raises:
        ImportError: The package for the protocol is not installed.
        ValueError: There is no such protocol.
    """
    fs, root = fsspec.url_to_fs(address)
    return fs, root.rstrip('/') or root


def absolute(address: str) -> str:
    """Return an address that does not depend on the current folder."""
    return file_system(address)[1] if isinstance(file_system(address)[0], LocalFileSystem) else address


def list_pictures(source: str, selection: Selection) -> Listing:
    """List the pictures of a source.

    Names that begin with a dot and links are left out. A member of a shard that is there twice counts as its last.

    Args:
        source: A folder, an address such as ``s3://bucket/folder``, or one shard.
        selection: Which are taken.

    Raises:
        FileNotFoundError: There is no such source, or no picture in it.
        ValueError: A shard is compressed or damaged, or the file system knows no version of a file.
    """
    fs, root = file_system(source)
    fs.invalidate_cache()
    if not fs.exists(root):
        raise FileNotFoundError(f'no folder or shard {printable(source)}')
    left_out, links, found = Counter[str](), 0, dict[str, Picture]()
    for key, info in _walk(fs, root):
        links += bool(info.get('islink'))
        if info.get('islink') or info['type'] != 'file':
            continue
        if key.lower().endswith(_PACKED):
            raise ValueError(f'{printable(key)} is compressed, and a picture in it cannot be read alone: unpack it')
        pictures = _members(fs, key, info) if key.lower().endswith(SHARD_SUFFIX) else [_picture(key, info)]
        for picture in pictures:
            if not is_image_name(picture.key.rpartition('/')[2]) or _is_hidden(picture.key):
                continue
            if (pattern := selection.left_out(picture.key)) is None:
                found[picture.key] = picture
            else:
                left_out[pattern] += 1
    notes = [] if (note := selection.note(left_out)) is None else [note]
    notes += [f'{links} links are not followed: name what they lead to'] if links else []
    if not found:
        raise FileNotFoundError('; '.join([f'no picture in {printable(source)}', *notes]))
    return Listing(sorted(found.values()), notes)


class Source(NamedTuple):
    """Where pictures are read."""

    fs: Any
    root: str

    @classmethod
    def at(cls, address: str) -> 'Source':
        """Return a source by its address, see :func:`file_system`."""
        return cls(*file_system(address))

    def read(self, picture: Picture) -> bytes:
        """Read a picture.

        Raises:
            OSError: It cannot be read, or has not the size that it was listed with.
        """
        end = None if picture.offset is None else picture.offset + picture.size
        content: bytes = self.fs.cat_file(picture.path, start=picture.offset, end=end)
        if len(content) != picture.size:
            raise OSError(
                f'{printable(picture.key)} has {len(content)} bytes and was listed with {picture.size}: it changed '
                'meanwhile; start again when nothing writes to the source'
            )
        return content

    @contextmanager
    def as_file(self, picture: Picture, content: bytes) -> Iterator[str]:
        """Yield a temporary file of a picture, for libraries that read no other.

        Its folders, name and time of change are those at the source, because the time of a picture may be in them.
        """
        with TemporaryDirectory(prefix='hyperbolic-seg-') as folder:
            path = Path(folder, *self.root.split('/'), *picture.key.split('/'))
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            if picture.changed is not None:
                os.utime(path, (picture.changed, picture.changed))
            yield str(path)


def _walk(fs: Any, root: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield key and information of every file, and of links, which are not followed."""
    if fs.isfile(root):
        yield root.rpartition('/')[2], fs.info(root)
        return
    pending = [root]
    while pending:
        for info in fs.ls(pending.pop(), detail=True):
            key = info['name'].rstrip('/').removeprefix(root).lstrip('/')
            if not key or _is_hidden(key):
                continue
            if info['type'] == 'directory' and not info.get('islink'):
                pending.append(info['name'])
            else:
                yield key, info


def _is_hidden(key: str) -> bool:
    return any(part.startswith('.') and part != '..' for part in key.split('/'))


def _picture(key: str, info: dict[str, Any]) -> Picture:
    return Picture(key, info['name'], int(info['size']), _version(key, info), None, _changed(info))


def _members(fs: Any, key: str, info: dict[str, Any]) -> Iterator[Picture]:
    version = _version(key, info)
    try:
        with (
            fs.open(info['name'], 'rb', block_size=_HEADERS, cache_type='readahead') as file,
            tarfile.open(fileobj=file, mode='r:') as shard,
        ):
            for member in shard:
                if member.isreg() and not member.issparse():
                    name = f'{key}/{member.name.removeprefix("./")}'
                    yield Picture(name, info['name'], member.size, version, member.offset_data, float(member.mtime))
    except tarfile.TarError as error:
        raise ValueError(f'{printable(key)} is no readable tar file: {error}') from error


def _version(key: str, info: dict[str, Any]) -> str:
    for name in _VERSIONS:
        if info.get(name) is not None:
            return str(info[name])
    raise ValueError(
        f'{printable(key)}: its file system tells neither a checksum nor a time of change, so a picture that is '
        f'written again could not be told from the one before; expected one of {", ".join(_VERSIONS)}'
    )


def _changed(info: dict[str, Any]) -> float | None:
    for name in _TIMES:
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return None
