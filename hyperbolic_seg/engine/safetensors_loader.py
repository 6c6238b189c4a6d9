"""Checkpoints as safetensors files: nothing in them is executed."""

from pathlib import Path

from mmengine.runner import CheckpointLoader
from safetensors import SafetensorError, safe_open


@CheckpointLoader.register_scheme(prefixes=r'.*\.safetensors$')
def load_from_safetensors(filename: str, map_location: str | None = None) -> dict:
    """Load a safetensors file wherever MMEngine takes a checkpoint; half precision comes back as single precision.

    Args:
        filename: The file.
        map_location: Device of the tensors.

    Returns:
        ``state_dict``, and ``meta`` with the strings that the file carries.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no safetensors file.
    """
    if not Path(filename).is_file():
        raise FileNotFoundError(f'{filename} does not exist')
    try:
        with safe_open(filename, framework='pt', device=map_location or 'cpu') as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = dict(file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(f'{filename} is not a safetensors file: {error}') from error
    state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    return dict(state_dict=state, meta=meta)
