"""Output files that are complete or absent."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def whole_file(file: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write to; on success the file moves to its name, on an error it is removed.

    It serves libraries that write to a path; :func:`hyperbolic_seg.files.write_whole` does the same for bytes. The
    temporary file has the same name in a private folder beside the target, so no link that somebody else made is
    followed.

    Args:
        file: The target. Its folder is made if it does not exist; an older file or a link of this name is replaced.

    Raises:
        OSError: The folder or the file cannot be written.
    """
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix='.', dir=file.parent) as folder:
        part = Path(folder) / file.name
        yield part
        os.replace(part, file)
