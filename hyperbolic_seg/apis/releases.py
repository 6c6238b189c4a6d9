"""The released models, and where their files are installed."""

from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

__all__ = ['ENTRY_POINTS', 'RELEASES', 'Release', 'find_exported', 'find_release', 'list_models']

ENTRY_POINTS = 'hyperbolic_seg.weights'
"""Group of entry points; each names a package that holds ``NAME.safetensors`` files."""
_DISTRIBUTIONS = 'hyperbolic-seg-weights-'


class Release(NamedTuple):
    """A released model.

    Attributes:
        sha256: Digest of its file, in hexadecimal.
        license: SPDX expression of the license of its weights.
        distribution: Distribution that holds its file.
    """

    sha256: str
    license: str
    distribution: str

    @property
    def install(self) -> str:
        """Command that installs its file."""
        return f'pip install {self.distribution}'

    @property
    def folder(self) -> str:
        """Folder of the distribution in ``weights`` of the repository."""
        return self.distribution.removeprefix(_DISTRIBUTIONS)


# The model cards, with data, figures and limits, are in docs/model_cards.md.
RELEASES: dict[str, Release] = {
    'hyperclip-unet-cloud': Release(
        sha256='966f44fdb9ec2a61c0e1b45d8c61416c0fdac2f94fd37a7ab71cb8dae35bac89',
        license='CC-BY-NC-4.0',
        distribution=f'{_DISTRIBUTIONS}cloud',
    ),
    'hyperclip-unet-sky': Release(
        sha256='8aefbf6300cc6bba56171c2befc1838e665e0ae3cc1c432be24c2568238df67f',
        license='Apache-2.0',
        distribution=f'{_DISTRIBUTIONS}sky',
    ),
}


def list_models(*, installed: bool = False) -> list[str]:
    """Return the names of the released models.

    Args:
        installed: Leave out models whose weights are not installed.
    """
    return [name for name in RELEASES if not installed or find_release(name) is not None]


def find_release(name: str) -> Path | None:
    """Return the weights file of a released model, unchecked, or ``None`` if it is not installed.

    Raises:
        ValueError: There is no released model of this name.
    """
    return _find(name, 'safetensors')


def find_exported(name: str) -> Path | None:
    """Return the ONNX file of a released model beside its weights, or ``None`` if there is none.

    Raises:
        ValueError: There is no released model of this name.
    """
    return _find(name, 'onnx')


def _find(name: str, suffix: str) -> Path | None:
    _check_name(name)
    files = (folder / f'{name}.{suffix}' for folder in _weights_folders())
    return next((file for file in files if file.is_file()), None)


def _check_name(name: str) -> None:
    if name not in RELEASES:
        raise ValueError(f'no released model {name!r}: expected one of {", ".join(RELEASES)}')


def _weights_folders() -> Iterator[Path]:
    """Yield the folders of installed weights; the packages are found without being imported."""
    for point in sorted(entry_points(group=ENTRY_POINTS)):
        spec = find_spec(point.value)
        yield from map(Path, (spec and spec.submodule_search_locations) or ())
