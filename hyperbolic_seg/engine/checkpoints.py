"""Checkpoints are looked at before they are loaded: weights, and nothing that runs."""

import logging
import zipfile
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.runner import checkpoint as of_mmengine


def check_checkpoint(path: str | Path) -> None:
    """Refuse a checkpoint that would run code when it is loaded.

    MMEngine falls back to full unpickling where a file is more than weights. Here such a file is named before. What
    MMEngine itself saves passes, optimiser states and logs included. Addresses are left to MMEngine, and so, with a
    warning, are all files with a torch before 2.5 or MMEngine's original, which cannot look without loading.

    Args:
        path: A checkpoint file; safetensors files pass, for nothing in them runs.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds more than weights, or is no checkpoint.
    """
    if '://' in str(path) or Path(path).suffix == '.safetensors':
        return
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path} does not exist')
    if not hasattr(torch.serialization, 'safe_globals') or not hasattr(of_mmengine, 'get_torch_safe_globals'):
        print_log(
            f'torch {torch.__version__} with this MMEngine cannot look into {path} before it is loaded: open only what '
            'you trust',
            'current',
            logging.WARNING,
        )
        return
    try:
        with torch.serialization.safe_globals(of_mmengine.get_torch_safe_globals()):
            torch.load(path, map_location='cpu', mmap=zipfile.is_zipfile(path) or None, weights_only=True)
    except UnpicklingError as error:
        raise ValueError(
            f'{path} is no plain checkpoint: loading it could run code. If you trust where it comes from, save its '
            f'weights alone: torch.save(dict(state_dict=...), file). {_reason(error)}'
        ) from error
    except (RuntimeError, EOFError, OSError, KeyError, ValueError, AttributeError) as error:
        raise ValueError(f'{path} is not a checkpoint that can be read: {_reason(error)}') from error


def _reason(error: Exception) -> str:
    """Return the line of torch's message that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return next((line for line in lines if 'GLOBAL' in line), lines[0])


if hasattr(torch.serialization, 'add_safe_globals'):
    # Scores in a log may be NumPy's numbers of any type; MMEngine knows but a few, and would unpickle in full.
    torch.serialization.add_safe_globals([getattr(np.dtypes, name) for name in np.dtypes.__all__])
