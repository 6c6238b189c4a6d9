"""Command lines of the converters of released checkpoints."""

import argparse
import sys
from pathlib import Path
from pickle import UnpicklingError

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from released_names import State, to_ours, to_released, unread_scalings, weights_of
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import hyperbolic_seg.plugin  # noqa: F401


def run(*, description: str, split_projections: bool) -> int:
    """Convert a checkpoint as the command line says; return the exit code.

    Args:
        description: What the converter is for.
        split_projections: Released files name queries, keys and values apart.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config of the model that gets the weights; with --reverse, that has them')
    parser.add_argument('src', type=Path, help='checkpoint to read: .pth, .pt or .safetensors')
    parser.add_argument('dst', type=Path, help='checkpoint to write')
    parser.add_argument('--reverse', action='store_true', help='from a checkpoint of this library to released names')
    args = parser.parse_args()
    try:
        if args.reverse:
            own = weights_of(read_weights(args.src))
            _check_names(Config.fromfile(args.config), own)
            written = to_released(own, split_projections=split_projections)
            _write(args.dst, written, key='model')
        else:
            written = convert(Config.fromfile(args.config), read_weights(args.src))
            _write(args.dst, written, key='state_dict')
    except (OSError, RuntimeError, ValueError, UnpicklingError, SafetensorError) as error:
        print(f'error: {args.src}: {error}', file=sys.stderr)
        return 2
    numbers = sum(value.numel() for value in written.values() if value.is_floating_point())
    print(f'{args.dst}: {len(written)} tensors, {numbers:,} numbers')
    return 0


def convert(config: Config, released: State) -> State:
    """Return the state dict of the model of a config with released weights.

    Raises:
        ValueError: The weights are not those of this model.
    """
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(config.model)
    wanted = weights_of(model.state_dict())
    for name in unread_scalings(released, wanted):
        print(f'left out, as in the released code: {name}', file=sys.stderr)
    model.load_state_dict(to_ours(released, wanted), strict=False)
    model.eval()
    model.decode_head.text.encode()  # now, by these weights
    found: State = model.state_dict()
    return found


def _check_names(config: Config, own: State) -> None:
    """Refuse weights that are not those of the model of a config.

    Raises:
        ValueError: Names differ; the message lists them.
    """
    with DefaultScope.overwrite_default_scope('mmseg'), torch.device('meta'):
        wanted = weights_of(MODELS.build(config.model).state_dict())
    if differing := sorted(wanted.keys() ^ own.keys()):
        raise ValueError(f'{len(differing)} weights are not those of this config:\n  ' + '\n  '.join(differing))


def read_weights(path: Path) -> State:
    """Return the weights in a file, whatever they are wrapped in; no code in it runs.

    Raises:
        OSError: The file cannot be read.
        ValueError: There are no weights in it.
        pickle.UnpicklingError: It holds more than weights and numbers.
    """
    if path.suffix == '.safetensors':
        content = load_file(path)
    else:
        content = torch.load(path, map_location='cpu', weights_only=True)
    for key in ('model', 'state_dict'):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    named = content.items() if isinstance(content, dict) else ()
    weights = {name: value for name, value in named if isinstance(value, Tensor)}
    if not weights:
        raise ValueError('expected weights by name, alone or under "model" or "state_dict"')
    return {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}


def _write(path: Path, weights: State, *, key: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.safetensors':
        save_file({name: value.contiguous() for name, value in weights.items()}, path)
    else:
        torch.save({key: weights}, path)
