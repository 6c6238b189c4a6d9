"""Models that come with the package, by name: one safetensors file each, with its config inside."""

import ast
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from safetensors.torch import save_file

from hyperbolic_seg.engine.foreign_configs import check_foreign_config
from hyperbolic_seg.engine.safetensors_loader import metadata_of
from hyperbolic_seg.text.minilm import sha256_of

WEIGHTS = Path(__file__).resolve().parents[1] / 'weights'
LONGEST_CONFIG = 2**20
"""Characters that the config in a file may have; those of released models have fewer than 2000."""
_OF_THE_MACHINE = frozenset(('backend_args', 'cache_dir', 'device', 'file_client_args', 'init_cfg'))
_OF_CLIP = ('OpenCLIPTextEncoder', 'OpenCLIPVisionBackbone')


class Released(NamedTuple):
    """A model that comes with the package."""

    sha256: str
    licence: str


# The model cards, with data, figures and limits, are in docs/model_cards.md.
RELEASES = {
    'hyperclip-unet-cloud': Released(
        'ec47f83c305048b1d97a40c1fc09b65744958b4db198ec43701434b67d9c0317', 'CC-BY-NC-4.0'
    ),
    'hyperclip-unet-sky': Released('8aefbf6300cc6bba56171c2befc1838e665e0ae3cc1c432be24c2568238df67f', 'Apache-2.0'),
}


def released(name: str) -> tuple[Config, Path]:
    """Return the config and the checked weights file of a model that comes with the package.

    Raises:
        ValueError: There is none of this name.
        FileNotFoundError: Its file is missing.
        RuntimeError: Its file is not the one that was released.
    """
    if name not in RELEASES:
        raise ValueError(f'no released model {name!r}; there are {", ".join(RELEASES)}')
    path = WEIGHTS / f'{name}.safetensors'
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: install the package again')
    if (digest := sha256_of(path)) != RELEASES[name].sha256:
        raise RuntimeError(
            f'{path} is not the released {name}: SHA-256 {digest}, expected {RELEASES[name].sha256}. '
            'Install the package again.'
        )
    return config_of(path), path


def config_of(path: str | Path) -> Config:
    """Return the config inside a file that :func:`write_release` wrote.

    Nothing that it names is imported, called or opened: it may only ask for the parts that
    :func:`~hyperbolic_seg.engine.foreign_configs.check_foreign_config` knows.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is no safetensors file, damaged, or has no config; or the config asks for something else.
    """
    metadata = metadata_of(path)
    if 'config' not in metadata:
        raise ValueError(f'{path} carries no config: give one, or write the file with tools/release.py')
    config = _literal(metadata['config'], path)
    check_foreign_config(config, path)
    return Config(config)


def _literal(text: str, path: str | Path) -> Any:
    """Read a Python literal.

    Raises:
        ValueError: It is none, or too long.
    """
    if len(text) > LONGEST_CONFIG:
        raise ValueError(f'the config in {path} has {len(text)} characters: expected at most {LONGEST_CONFIG}')
    try:
        return ast.literal_eval(text)  # literals alone, tuples among them
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f'the config in {path} is no Python literal ({type(error).__name__})') from error


def write_release(config: Config, state_dict: dict[str, torch.Tensor], path: str | Path, **about: str) -> None:
    """Write weights in half precision with what it takes to use them.

    Args:
        config: Of the training. The model and the test pipeline go into the file.
        state_dict: The weights.
        path: The file.
        about: More strings to carry, such as ``licence``.

    Raises:
        ValueError: A weight does not fit into half precision, or the config asks for what nobody's file may ask for,
            such as a module of yours or a vocabulary in a file; see :func:`config_of`.
    """
    needed = _needed(config)
    check_foreign_config(needed, path)
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state_dict.items()}
    if bad := [name for name, value in halves.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise ValueError(f'these weights do not fit into half precision: {", ".join(bad)}')
    halves = {name: value.contiguous() for name, value in halves.items()}
    save_file(halves, str(path), metadata={'config': repr(needed), **about})


def _needed(config: Config) -> dict[str, Any]:
    """Take what inference needs of a config."""
    plain = config.to_dict()
    model = plain['model']
    model['backbone'].pop('weights', None)  # they are in the file
    dataset = plain['test_dataloader']['dataset']
    while 'pipeline' not in dataset:
        dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
    pipeline = [step for step in dataset['pipeline'] if 'Annotations' not in step['type']]
    return dict(
        default_scope='mmseg',
        custom_imports=dict(imports=['hyperbolic_seg'], allow_failed_imports=False),
        model=_portable(model),
        test_dataloader=dict(dataset=dict(type='GroundCloudDataset', pipeline=_portable(pipeline))),
    )


def _portable(part: Any) -> Any:
    """Leave out what a model starts its training from, and what belongs to one machine."""
    if isinstance(part, (list, tuple)):
        return type(part)(_portable(element) for element in part)
    if not isinstance(part, dict):
        return part
    # Of CLIP the tag is kept: it tells the activation, and where to get a text tower for other words.
    left_out = _OF_THE_MACHINE if part.get('type') in _OF_CLIP else _OF_THE_MACHINE | {'pretrained'}
    return {name: _portable(value) for name, value in part.items() if name not in left_out}
