"""The runtimes of the commands: PyTorch, or ONNX Runtime with a file that ``hyperbolic-seg export`` wrote."""

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from hyperbolic_seg.files import printable

if TYPE_CHECKING:
    from hyperbolic_seg.apis import OnnxInferencer


class Runtime(str, Enum):
    """What computes predictions."""

    TORCH = 'torch'
    ONNX = 'onnx'


def runtime_of(model: str, asked: Runtime | None) -> Runtime:
    """Return the runtime of a model: the one that was asked for, else by the suffix of its file.

    Raises:
        ValueError: An ONNX file is to be run by PyTorch.
    """
    is_onnx = Path(model).suffix == '.onnx'
    if is_onnx and asked is Runtime.TORCH:
        raise ValueError(f'{printable(model)} is an ONNX file: leave out --runtime torch, or name the model it is of')
    return Runtime.ONNX if is_onnx else asked or Runtime.TORCH


def load_onnx(model: str, prompts: list[str] | str | None, *, unfit: Sequence[str] = ()) -> 'OnnxInferencer':
    """Return a model for ONNX Runtime with its prompts set.

    Args:
        model: An ONNX file, or a released model that was exported.
        prompts: Prompts or the name of a vocabulary; ``None`` for those of the training.
        unfit: Options of the command line that are given and are for PyTorch alone.

    Raises:
        FileNotFoundError: There is no such file, or the model was not exported.
        ValueError: The file is damaged or of other weights than the released ones, or a prompt is not known to it.
        ImportError: ONNX Runtime is not installed.
    """
    from hyperbolic_seg.apis import RELEASES, OnnxInferencer

    if unfit:
        raise ValueError(f'{", ".join(unfit)} cannot be given with --runtime onnx: leave out one of the two')
    if model in RELEASES:
        inferencer = OnnxInferencer(exported_file(model))
        _check_weights(inferencer, model)
    elif Path(model).suffix == '.onnx':
        inferencer = OnnxInferencer(model)
    else:
        raise ValueError(
            f'--runtime onnx takes a released model or an .onnx file, got {printable(model)}: hyperbolic-seg export '
            'writes one'
        )
    inferencer.set_prompts(prompts)
    return inferencer


def exported_file(model: str) -> Path:
    """Return the ONNX file of a released model: beside its weights, or where ``hyperbolic-seg export`` writes it."""
    from hyperbolic_seg.apis import find_exported

    beside = find_exported(model)
    if beside is not None:
        return beside
    file = own_file(model)
    if not file.is_file():
        raise FileNotFoundError(
            f'{model} is not exported here: hyperbolic-seg export {model} does so where the whole installation is, and '
            f'hyperbolic-seg export {model} --out {model}.onnx writes a file to carry to other machines, for --model'
        )
    return file


def own_file(model: str) -> Path:
    """Return where the ONNX file of a released model is kept on this machine: in the folder of caches."""
    from hyperbolic_seg.text import default_cache_dir

    return default_cache_dir() / 'exported' / f'{model}.onnx'


def _check_weights(inferencer: 'OnnxInferencer', model: str) -> None:
    """Check that a file was exported from the weights that are released now.

    Raises:
        ValueError: It was not.
    """
    from hyperbolic_seg.apis import RELEASES

    digest = inferencer.identity['sha256']
    if digest != RELEASES[model].sha256:
        raise ValueError(
            f'{inferencer.file} is of weights with the SHA-256 {digest}, and those of {model} have '
            f'{RELEASES[model].sha256}: hyperbolic-seg export {model} --overwrite'
        )
