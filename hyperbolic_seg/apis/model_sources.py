"""Find and read a model: by the name of a release, as one file with its config inside, or as config and weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config

from hyperbolic_seg.apis.configs import find_config, list_configs
from hyperbolic_seg.apis.released import config_of, load_release
from hyperbolic_seg.apis.releases import RELEASES
from hyperbolic_seg.engine import check_checkpoint
from hyperbolic_seg.files import printable
from hyperbolic_seg.text import Concept, Vocabulary


def is_whole(model: str | Path | Config) -> bool:
    """Return whether a model is given as one file with its config inside."""
    return not isinstance(model, Config) and (str(model) in RELEASES or Path(model).suffix == '.safetensors')


@contextmanager
def errors_of(model: str | Path | Config, *, foreign: bool = False) -> Iterator[None]:
    """Raise few types of errors, and name the model in each.

    Args:
        model: The model that is loaded.
        foreign: True if somebody else wrote the config; every error but an ``OSError`` then becomes a ``ValueError``.

    Raises:
        ValueError: The model cannot be built; replaces errors that do not say what was expected.
    """
    clear = OSError if foreign else (OSError, ValueError, TypeError, RuntimeError, ImportError)
    name = 'the config' if isinstance(model, Config) else model
    try:
        yield
    except clear:
        raise
    except Exception as error:  # options that do not fit raise anything
        if isinstance(error, ValueError) and str(name) in str(error):
            raise
        reason = printable(' '.join(str(error).split())[:500])
        raise ValueError(f'no model can be built from {name}: {type(error).__name__}: {reason}') from error


def config_and_weights(model: str | Path | Config, weights: str | Path | None) -> tuple[Config, str | None]:
    """Return the config and the weights file of a model.

    Raises:
        OSError: There is no such model or checkpoint, or it cannot be read or downloaded.
        ValueError: Weights are given to a model that has its own, or a file is not valid.
    """
    given = None if weights is None else str(weights)
    if isinstance(model, Config):
        config = model
    elif is_whole(model):
        if given is not None:
            raise ValueError(f'{model} has its own weights, got {given} too: give a config with other weights')
        return _whole(model)
    elif Path(model).suffix == '.py' or model in list_configs() or Path(model).is_file():
        config = Config.fromfile(find_config(model))
    else:
        raise _no_model(model)
    if 'model' not in config:  # MMEngine would look for another config in the checkpoint, and run it
        raise ValueError(f'{"the config" if isinstance(model, Config) else model} has no model')
    if given is not None:
        check_checkpoint(given)
    return config, given


def _whole(model: str | Path) -> tuple[Config, str]:
    """Return the config inside a model in one file, and the file."""
    if str(model) in RELEASES:
        config, path = load_release(str(model))
        return config, str(path)
    if not Path(model).exists():
        raise _no_model(model)
    return config_of(model), str(model)


def _no_model(model: str | Path) -> FileNotFoundError:
    known = ', '.join(RELEASES)
    return FileNotFoundError(f'{model} is neither a file nor a model that is released: {known}')


def checked_meta(meta: Any, count: int, source: str | None) -> dict[str, Any]:
    """Return the names and colors of the classes that a checkpoint carries.

    Raises:
        ValueError: They are not distinct names and RGB colors, one for each class.
    """
    try:
        vocabulary = Vocabulary(
            Concept(name, color=(red, green, blue))
            for name, (red, green, blue) in zip(meta['classes'], meta['palette'], strict=True)
        )
        numbers = [number for color in vocabulary.palette for number in color]
        fits = all(isinstance(name, str) for name in vocabulary.names)
        fits &= all(isinstance(number, int) and 0 <= number <= 255 for number in numbers)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        fits = False
    if not fits or len(vocabulary) != max(count, 2):
        raise ValueError(
            f'{source} carries no names and colors of {count} classes in meta.dataset_meta: expected distinct names, '
            'and three whole numbers from 0 to 255 for each'
        )
    return dict(classes=vocabulary.names, palette=vocabulary.palette)
