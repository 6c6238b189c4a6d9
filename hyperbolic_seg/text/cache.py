"""Text embeddings on disk, one small file each."""

import hashlib
import os
import warnings
from pathlib import Path

import numpy as np

DIGEST_SIZE = hashlib.sha256().digest_size


def default_cache_dir() -> Path:
    """Return the folder for cached embeddings.

    ``$HYPERBOLIC_SEG_CACHE``, else ``$XDG_CACHE_HOME/hyperbolic_seg``, else ``~/.cache/hyperbolic_seg``.
    """
    if folder := os.environ.get('HYPERBOLIC_SEG_CACHE'):
        return Path(folder)
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'hyperbolic_seg'


class EmbeddingCache:
    """Float32 vectors under a key; a file holds the SHA-256 of its content, then the content.

    Args:
        folder: Where the files lie; made when something is first stored.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, *key: str) -> Path:
        """Return the file of a key, a series of strings."""
        digest = hashlib.sha256('\0'.join(key).encode()).hexdigest()
        return self.folder / digest[:2] / f'{digest[2:]}.embedding'

    def get(self, *key: str) -> np.ndarray | None:
        """Return the vector, or ``None`` if there is none; a damaged file counts as none, with a warning."""
        path = self.path(*key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        digest, payload = content[:DIGEST_SIZE], content[DIGEST_SIZE:]
        if not payload or hashlib.sha256(payload).digest() != digest:
            warnings.warn(f'the cached embedding {path} is damaged and is computed again', stacklevel=2)
            return None
        return np.frombuffer(payload, dtype='<f4').copy()

    def put(self, vector: np.ndarray, *key: str) -> None:
        """Store a vector; readers see the whole file or none. A folder that cannot be written to is a warning."""
        path = self.path(*key)
        payload = np.ascontiguousarray(vector, dtype='<f4').tobytes()
        part = path.with_name(f'{path.name}.{os.getpid()}.part')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(hashlib.sha256(payload).digest() + payload)
            os.replace(part, path)
        except OSError as error:
            warnings.warn(f'embeddings cannot be cached in {self.folder}: {error}', stacklevel=2)
