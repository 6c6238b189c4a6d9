"""Checkpoints as safetensors files, in which no code can run."""

from pathlib import Path
from typing import Any

from mmengine.runner import CheckpointLoader
from safetensors import SafetensorError, safe_open

from hyperbolic_seg.files import open_regular, printable

__all__ = ['load_from_safetensors', 'metadata_of']


@CheckpointLoader.register_scheme(prefixes=r'.*\.safetensors$')
def load_from_safetensors(filename: str, map_location: str | None = None) -> dict[str, Any]:
    """Load a safetensors file wherever MMEngine takes a checkpoint; half precision becomes single precision.

    Args:
        filename: The file.
        map_location: Device of the tensors.

    Returns:
        ``state_dict``, and ``meta`` with the strings that the file carries, without its config.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no safetensors file, or damaged.
    """
    if not Path(filename).exists():
        raise FileNotFoundError(f'{filename} does not exist')
    open_regular(filename).close()  # refuses a FIFO, which would block
    try:
        with safe_open(filename, framework='pt', device=map_location or 'cpu') as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            # MMEngine would run the config as Python when a training is resumed.
            meta = {key: text for key, text in (file.metadata() or {}).items() if key != 'config'}
    except SafetensorError as error:
        raise ValueError(f'{filename} is not a safetensors file: {printable(str(error)[:500])}') from error
    state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    return dict(state_dict=state, meta=meta)


def metadata_of(filename: str | Path) -> dict[str, str]:
    """Return the strings that a safetensors file carries.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The file is no safetensors file, or damaged.
    """
    open_regular(filename).close()
    try:
        with safe_open(str(filename), framework='pt') as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(f'{filename} is not a safetensors file: {printable(str(error)[:500])}') from error
