"""Checkpoints of others: weights are read from them, and no code in them runs."""

import logging
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as of_mmengine
from mmengine.utils import digit_version
from torch import Tensor, nn

from hyperbolic_seg.files import open_regular, printable
from hyperbolic_seg.text.text_bank import TextBank

__all__ = [
    'check_checkpoint',
    'load_from_address',
    'load_from_local',
    'load_from_model_list',
    'load_weights',
    'weights_in',
    'without_program',
]

_SHOWN = 5  # names in an error
_MULTIARRAY = (np._core if hasattr(np, '_core') else np.core).multiarray
_OF_NUMPY = (
    _MULTIARRAY._reconstruct,
    _MULTIARRAY.scalar,
    np.ndarray,
    np.dtype,
    *(getattr(np.dtypes, name) for name in np.dtypes.__all__),
)
"""Types of arrays and numbers in a log."""
_STATISTICS = ('current', 'max', 'mean', 'min')
_MODEL_LISTS = {
    'modelzoo': of_mmengine.get_torchvision_models,
    'torchvision': of_mmengine.get_torchvision_models,
    'open-mmlab': of_mmengine.get_external_models,
    'openmmlab': of_mmengine.get_external_models,
    'mmcls': of_mmengine.get_mmcls_models,
}
"""Functions that return the addresses of MMEngine's short names, by scheme."""


def check_checkpoint(path: str | Path) -> None:
    """Refuse a checkpoint that would run code when it is loaded, or that holds no weights.

    Everything that MMEngine itself saves passes, including optimizer states and logs. An address is downloaded to the
    cache of torch hub, and the file there is checked.

    Args:
        path: A checkpoint file, or its ``https://`` address. A safetensors file holds no code: it passes here, and
            is checked where it is loaded. Or a folder that DeepSpeed wrote.

    Raises:
        ImportError: The path is a folder of DeepSpeed, which is not installed.
        OSError: There is no such file (``FileNotFoundError``), or it cannot be downloaded.
        ValueError: The file holds more than weights, no weights, or is no checkpoint; or the address is not an
            ``https://`` one.
    """
    if '://' in str(path):
        path = _downloaded(str(path))
    if parts := sorted(Path(path).glob('*.pt')):  # a folder of DeepSpeed, which itself unpickles everything in full
        for part in parts:
            _read(part, 'cpu', mapped=True, allowed=_types_of_deepspeed(path))
        return
    if Path(path).suffix != '.safetensors':
        weights_in(_read(Path(path), 'cpu', mapped=True), path)


def weights_in(checkpoint: Any, source: str | Path) -> Mapping[str, Tensor]:
    """Return the weights of a checkpoint: the mapping under ``state_dict``, or the checkpoint itself.

    Args:
        checkpoint: The loaded checkpoint.
        source: Name of the checkpoint in errors.

    Raises:
        ValueError: The weights are no mapping of names to tensors, or an empty one.
    """
    weights = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, Mapping) else checkpoint
    expected = "expected names of weights with their tensors, directly or under 'state_dict'"
    if not isinstance(weights, Mapping):
        raise ValueError(f'{source} holds {type(weights).__name__}, no weights: {expected}')
    if not weights:
        raise ValueError(f'{source} holds no weights, it is empty: {expected}')
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            shown = printable(repr(name)[:80])
            raise ValueError(f'{source} holds {type(value).__name__} under {shown}, no tensor: {expected}')
    return weights


def without_program(checkpoint: Any) -> Any:
    """Remove the config of a checkpoint that MMEngine would run as Python when a training is resumed.

    MMEngine itself has not written a config to this place, ``meta.config``, since its first release.
    """
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    if isinstance(meta, dict):
        meta.pop('config', None)
    return checkpoint


def load_weights(model: nn.Module, checkpoint: Any, source: str | Path, *, whole: bool = False) -> None:
    """Load the weights of a checkpoint, which must hold all weights of the model.

    Text embeddings may be missing where the model can encode them itself, and so may counters of batches.

    Args:
        model: The model.
        checkpoint: The loaded checkpoint; names may start with ``module.``, as after distributed training.
        source: Name of the checkpoint in errors.
        whole: Refuse weights that the model does not have, and missing text embeddings. By default weights that the
            model does not have are left out with a warning.

    Raises:
        ValueError: There are no weights, some are missing, not finite or have another shape, or some are left over.
    """
    weights = weights_in(checkpoint, source)
    renamed = OrderedDict((name.removeprefix('module.'), value) for name, value in weights.items())
    if hasattr(weights, '_metadata'):
        renamed._metadata = weights._metadata  # type: ignore[attr-defined]
    try:
        missing, left_over = model.load_state_dict(renamed, strict=False)
    except Exception as error:  # parts parse words and versions from the file, which raises anything
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and 'Error(s) in' not in line]
        reason = printable('; '.join(lines[:_SHOWN]))[:1000] or type(error).__name__
        raise ValueError(f'the weights of {source} do not fit the model: {reason}') from error
    encoded = tuple(f'{name}.' for name, part in model.named_modules() if type(part) is TextBank)
    lacking = [
        name for name in missing if 'num_batches_tracked' not in name and (whole or not name.startswith(encoded))
    ]
    if bad := [name for name, value in renamed.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise ValueError(f'{source} holds weights that are not finite: {_some(bad)}')
    if lacking:
        raise ValueError(
            f'{source} is no checkpoint of this model: it lacks {_some(lacking)}. Give the config of its training'
        )
    if whole and left_over:
        raise ValueError(f'{source} is not of this model: it also holds {_some(left_over)}')
    if left_over:
        print_log(f'{source} also holds {_some(left_over)}, which this model does not use', 'current', logging.WARNING)


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f' and {len(names) - _SHOWN} more weights' if len(names) > _SHOWN else ''
    return ', '.join(printable(name[:200]) for name in names[:_SHOWN]) + more


# MMEngine unpickles everything in full with torch before 2.6, and files that hold more than weights with any torch.
# These loaders replace its own, so everything that it loads by file name or address comes through here.
@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Load a file that holds weights and at most what MMEngine saves beside them.

    Args:
        filename: The file.
        map_location: Device of the tensors.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds more, or is no checkpoint.
    """
    return without_program(_read(Path(filename).expanduser(), map_location))


@CheckpointLoader.register_scheme(
    prefixes=['http://', 'https://', 'pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://'], force=True
)
def load_from_address(filename: str, map_location: Any = None) -> Any:
    """Download a file from an ``https://`` address and load it as :func:`load_from_local` does.

    Args:
        filename: The address. The file is kept in the cache of torch hub.
        map_location: Device of the tensors.

    Raises:
        OSError: The file cannot be downloaded.
        ValueError: The address has another scheme, or the file holds more than weights.
    """
    return CheckpointLoader.load_checkpoint(str(_downloaded(filename)), map_location, logger='silent')


@CheckpointLoader.register_scheme(prefixes=[f'{scheme}://' for scheme in _MODEL_LISTS], force=True)
def load_from_model_list(filename: str, map_location: Any = None) -> Any:
    """Load a model that MMEngine knows by a short name, such as ``'torchvision://resnet50'``.

    Args:
        filename: The name.
        map_location: Device of the tensors.

    Raises:
        OSError: The file cannot be downloaded.
        ValueError: There is no model of this name, its address is not an ``https://`` one, or the file holds more
            than weights.
    """
    scheme, name = filename.split('://', 1)
    known = _MODEL_LISTS[scheme]()
    name = of_mmengine.get_deprecated_model_names().get(name, name) if 'mmlab' in scheme else name
    if name not in known:
        raise ValueError(f'{filename} is none of the {len(known)} models that MMEngine knows for {scheme}://')
    checkpoint = load_from_address(known[name], map_location)
    if scheme != 'mmcls':
        return checkpoint
    weights = weights_in(checkpoint, filename).items()  # weights of a classifier, with a backbone inside
    return dict(state_dict={n.removeprefix('backbone.'): w for n, w in weights if n.startswith('backbone.')})


def _downloaded(address: str) -> Path:
    """Return the file of an address in the cache of torch hub, downloaded if it is missing.

    Raises:
        OSError: The file cannot be downloaded.
        ValueError: The address is not an ``https://`` one, or names no file.
    """
    shown, parts = printable(address[:500]), urlsplit(address)
    if parts.scheme != 'https':
        raise ValueError(
            f'{shown}: weights are downloaded from https:// addresses alone; others can be changed on the way or '
            'cannot be checked. Download the file, check it, and give its path'
        )
    name = Path(parts.path).name
    if name in ('', '.', '..'):
        raise ValueError(f'{shown} names no file: expected an address that ends in the name of a checkpoint')
    path = Path(torch.hub.get_dir()) / 'checkpoints' / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(address, str(path), progress=False)
    return path


def _types_of_deepspeed(path: str | Path) -> list[Any]:
    """Return the types that DeepSpeed writes, which do nothing but hold values."""
    try:
        from deepspeed.runtime.fp16.loss_scaler import LossScaler
        from deepspeed.runtime.zero.config import ZeroStageEnum
        from deepspeed.utils.tensor_fragment import fragment_address
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{path} is a folder of DeepSpeed, which is not installed: pip install 'hyperbolic-seg[deepspeed]'"
        ) from error
    return [LossScaler, ZeroStageEnum, fragment_address, ConfigDict]


def _read(path: Path, map_location: Any, *, mapped: bool = False, allowed: Sequence[Any] = ()) -> Any:
    """Unpickle a file without running code in it.

    Args:
        path: The file.
        map_location: Device of the tensors.
        mapped: Leave the tensors on disk where that is possible.
        allowed: Types that it may hold beside weights and what MMEngine saves, with torch since 2.6.

    Raises:
        OSError: There is no such file.
        ValueError: The file holds more than weights and what MMEngine saves beside them, or is no checkpoint.
    """
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist')
    open_regular(path).close()  # refuses a FIFO, which would block
    # torch before 2.6 cannot replace getattr by a function of ours.
    guarded = digit_version(torch.__version__) >= digit_version('2.6.0')
    try:
        if not guarded:
            if _is_script(path):
                raise pickle.UnpicklingError('It is a TorchScript archive')
            return torch.load(path, map_location=map_location, pickle_module=_ALLOWED_ALONE, weights_only=False)
        known = [HistoryBuffer, slice, *_OF_NUMPY, (_statistic, 'builtins.getattr'), *allowed]
        with torch.serialization.safe_globals(known):
            options: dict[str, Any] = dict(mmap=(mapped and zipfile.is_zipfile(path)) or None, weights_only=True)
            return torch.load(path, map_location=map_location, **options)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{path} is no plain checkpoint: loading it could run code. If you trust its source, save its weights '
            f'alone: torch.save(dict(state_dict=...), file). {_reason(error)}'
        ) from error
    except Exception as error:  # a damaged file makes an unpickler raise anything
        raise ValueError(f'{path} is not a checkpoint that can be read: {_reason(error)}') from error


def _is_script(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.casefold().endswith('constants.pkl') for name in archive.namelist())


def _statistic(owner: Any, name: Any) -> Any:
    """Replace ``getattr`` in a checkpoint; MMEngine's logs refer to their methods by it.

    The builtin ``getattr`` would open every module: through its own ``__self__`` a checkpoint reaches ``exec``.

    Raises:
        UnpicklingError: Another attribute is asked for.
    """
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise pickle.UnpicklingError(f'GLOBAL getattr of {str(name)[:80]!r}')
    return getattr(HistoryBuffer, name)


class _Unpickler(pickle.Unpickler):
    """Finds only the parts of checkpoints, for a torch that cannot restrict this itself."""

    _STORAGES = ('torch', 'torch.cuda', 'torch.storage')
    _BY_NAME = {
        ('builtins', 'getattr'): _statistic,
        ('builtins', 'slice'): slice,
        ('_codecs', 'encode'): lambda text, encoding='latin1': text.encode('latin1'),  # bytes in protocol 2
        ('collections', 'OrderedDict'): OrderedDict,
        ('mmengine.logging.history_buffer', 'HistoryBuffer'): HistoryBuffer,
        ('torch', 'Size'): torch.Size,
        ('torch', 'device'): torch.device,
        ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
        ('torch._utils', '_rebuild_parameter'): torch._utils._rebuild_parameter,
        ('torch.nn.parameter', 'Parameter'): nn.Parameter,
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return a class or function that is allowed.

        Raises:
            UnpicklingError: The class or function is not allowed.
        """
        module = 'builtins' if module == '__builtin__' else module  # its name in protocol 2
        if (module, name) in self._BY_NAME:
            return self._BY_NAME[module, name]
        found = None
        if module in self._STORAGES and '.' not in name:
            found = getattr(torch, name, None) or getattr(torch.storage, name, None)
            is_storage = isinstance(found, type) and name.endswith('Storage')
            found = found if isinstance(found, torch.dtype) or is_storage else None
        elif module.partition('.')[0] == 'numpy':
            found = next((known for known in _OF_NUMPY if known.__name__ == name), None)
        if found is None:
            raise pickle.UnpicklingError(f'GLOBAL {module[:80]}.{name[:80]} is not allowed')
        return found


_ALLOWED_ALONE: Any = SimpleNamespace(
    __name__=__name__,
    Unpickler=_Unpickler,
    load=lambda file, **options: _Unpickler(file, **options).load(),
    UnpicklingError=pickle.UnpicklingError,
)


def _reason(error: Exception) -> str:
    """Return the line of torch's message that names the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return printable(next((line for line in lines if 'GLOBAL' in line), lines[0])[:500])
