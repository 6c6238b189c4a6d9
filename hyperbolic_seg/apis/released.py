"""Models that come with the package, by name: one safetensors file each, with its config inside."""

import ast
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from safetensors import safe_open
from safetensors.torch import save_file

from hyperbolic_seg.text.offline import sha256_of

WEIGHTS = Path(__file__).resolve().parents[1] / 'weights'


class Released(NamedTuple):
    """A model that comes with the package."""

    sha256: str
    licence: str


# The model cards, with data, figures and limits, are in docs/model_cards.md.
RELEASED = {
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
    if name not in RELEASED:
        raise ValueError(f'no released model {name!r}; there are {", ".join(RELEASED)}')
    path = WEIGHTS / f'{name}.safetensors'
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: install the package again')
    if (digest := sha256_of(path)) != RELEASED[name].sha256:
        raise RuntimeError(
            f'{path} is not the released {name}: SHA-256 {digest}, expected {RELEASED[name].sha256}. '
            'Install the package again.'
        )
    return config_of(path), path


def config_of(path: str | Path) -> Config:
    """Return the config inside a file that :func:`write_release` wrote.

    Raises:
        ValueError: There is none in it.
    """
    with safe_open(str(path), framework='pt') as file:
        metadata = file.metadata() or {}
    if 'config' not in metadata:
        raise ValueError(f'{path} carries no config: give one, or write the file with tools/release.py')
    return Config(ast.literal_eval(metadata['config']))  # literals alone, tuples among them


def write_release(config: Config, state_dict: dict[str, torch.Tensor], path: str | Path, **about: str) -> None:
    """Write weights in half precision with what it takes to use them.

    Args:
        config: Of the training. The model and the test pipeline go into the file.
        state_dict: The weights.
        path: The file.
        about: More strings to carry, such as ``licence``.

    Raises:
        ValueError: A weight does not fit into half precision.
    """
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state_dict.items()}
    if bad := [name for name, value in halves.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise ValueError(f'these weights do not fit into half precision: {", ".join(bad)}')
    halves = {name: value.contiguous() for name, value in halves.items()}
    save_file(halves, str(path), metadata={'config': repr(_needed(config)), **about})


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
        model=model,
        test_dataloader=dict(dataset=dict(type='GroundCloudDataset', pipeline=pipeline)),
    )
