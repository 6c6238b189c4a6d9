"""Released models: one safetensors file each, with its config inside, from distributions with their own licenses."""

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from safetensors.torch import save_file

from hyperbolic_seg.apis.releases import RELEASES, find_release
from hyperbolic_seg.engine.foreign_configs import check_foreign_config
from hyperbolic_seg.engine.safetensors_loader import metadata_of
from hyperbolic_seg.files import sha256_of

__all__ = [
    'CONFIG_FORMAT',
    'LONGEST_CONFIG',
    'config_of',
    'load_release',
    'register_parts',
    'upgrade',
    'write_release',
]

LONGEST_CONFIG = 2**20
"""Limit of the characters of a config in a file; the configs of the released models have fewer than 2000."""
CONFIG_FORMAT = '4'
"""Version of the names in a config, in the metadata of a file. The oldest files have none; see :func:`upgrade`."""

_MACHINE_OPTIONS = frozenset(('backend_args', 'cache_dir', 'device', 'file_client_args', 'init_cfg'))
_TRAINING_OPTIONS = frozenset(('node_weight',))  # its keys are names of classes, which no option of a file may be
_CLIP_TYPES = ('OpenCLIPTextEncoder', 'OpenCLIPVisionBackbone')

_FORMATS = (None, '2', '3', CONFIG_FORMAT)
# What the names in configs without a format became.
_NEW_TYPES = {
    'LoadSkyImage': 'LoadVerifiedImage',
    'LoadCloudAnnotations': 'LoadVocabularyAnnotations',
    'LabelPictures': 'LabelWholeImages',
}
_NEW_HEAD_OPTIONS = {'wording': 'phrase_augmentation', 'reading': 'prompt_smoothing'}
# What the names of options in a format became in the next one, by the place where they are.
_NEW_OPTIONS: dict[str | None, dict[str, dict[str, str]]] = {
    None: {
        'decode_head': _NEW_HEAD_OPTIONS,
        'auxiliary_head': _NEW_HEAD_OPTIONS,
        'test_cfg': {'colours': 'color_likelihood'},
    },
    '2': {
        'loss_decode': {'picture_weight': 'image_weight', 'unlabelled': 'unlabeled'},
        'backbone': {'scaling': 'adapter'},
        'text_encoder': {'scaling': 'adapter'},
    },
}
# Files up to this format were written with the first edition of the taxonomy of the sky.
_FIRST_EDITION = '3'
_EDITED = ('taxonomy', 'vocabulary', 'classes', 'known_words')
_FIRST_EDITIONS = {'sky': 'sky_v1', 'leaves': 'leaves_v1', 'genera': 'genera_v1'}
# Defaults that configs without a format leave out.
_FORMER_DEFAULTS: dict[str, dict[str, Any]] = {
    'OpenCLIPTextEncoder': dict(
        templates=('{}', 'a photo of {}', 'a photo of the sky with {}', '{} seen from the ground')
    ),
    'HierarchicalCrossEntropyLoss': dict(taxonomy='sky', classes='leaves'),
    'TextEntailmentLoss': dict(taxonomy='sky'),
    'TextRadiusLoss': dict(taxonomy='sky'),
}


_WORD_HEADS = ('HyperCLIPHead', 'CostAggregationHead')
"""Heads that completed prompts by the words of the sky, with or without a taxonomy."""


def load_release(name: str) -> tuple[Config, Path]:
    """Return the config and the checked weights file of a released model.

    Raises:
        ValueError: There is no released model of this name.
        FileNotFoundError: Its weights are not installed; the message has the command that installs them.
        RuntimeError: Its file is not the one that was released.
    """
    path = find_release(name)
    release = RELEASES[name]
    if path is None:
        raise FileNotFoundError(
            f'the weights of {name} ({release.license}) are not installed: {release.install}; from a checkout of the '
            f'repository: pip install ./weights/{release.folder}'
        )
    if (digest := sha256_of(path)) != release.sha256:
        raise RuntimeError(
            f'{path} is not the released {name}: SHA-256 {digest}, expected {release.sha256}. Install it again: '
            f'{release.install} --force-reinstall'
        )
    return config_of(path), path


def config_of(path: str | Path) -> Config:
    """Return the config inside a file that :func:`write_release` wrote, in the names of today.

    Nothing that the config names is imported, called or opened: it may only ask for the parts that
    :func:`~hyperbolic_seg.engine.foreign_configs.check_foreign_config` knows.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is no safetensors file, damaged, without a config, or of a later version; or its config asks for
            something else.
    """
    metadata = metadata_of(path)
    if 'config' not in metadata:
        raise ValueError(f'{path} carries no config: give one, or write the file with tools/release.py')
    config_format = metadata.get('config_format')
    if config_format not in _FORMATS:
        raise ValueError(
            f'{path} has a config of format {config_format[:20]!r}, this version of hyperbolic_seg reads '
            f'{CONFIG_FORMAT!r} and before: update hyperbolic_seg'
        )
    config = _literal(metadata['config'], path)
    if isinstance(config, dict):
        config = upgrade(config, config_format)
    register_parts()
    check_foreign_config(config, path)
    return Config(config)


def register_parts() -> None:
    """Register everything that a config can name, as its ``custom_imports`` do.

    The registering module is imported by name, as from a config, since it is built on this one.
    """
    import_module('hyperbolic_seg.plugin')


def _literal(text: str, path: str | Path) -> Any:
    """Read a Python literal.

    Raises:
        ValueError: The text is no literal, or too long.
    """
    if len(text) > LONGEST_CONFIG:
        raise ValueError(f'the config in {path} has {len(text)} characters: expected at most {LONGEST_CONFIG}')
    try:
        return ast.literal_eval(text)  # unlike JSON it keeps tuples
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f'the config in {path} is no Python literal ({type(error).__name__})') from error


def upgrade(config: dict[str, Any], config_format: str | None = None) -> dict[str, Any]:
    """Return a config in the names of today, with the defaults of its time written out.

    Args:
        config: A config from a file, not changed. It need not be valid.
        config_format: The format that the file gives, ``None`` if it gives none.

    Raises:
        ValueError: There is no such format.

    Example:
        >>> upgrade(dict(pipeline=[dict(type='LoadSkyImage')]))
        {'pipeline': [{'type': 'LoadVerifiedImage'}]}
    """
    if config_format not in _FORMATS:
        raise ValueError(f'config_format={config_format!r}: expected one of {_FORMATS}')
    for older in _FORMATS[_FORMATS.index(config_format) : -1]:
        config = {option: _upgraded(value, option, older) for option, value in config.items()}
    return config


def _upgraded(value: Any, option: Any, older: str | None) -> Any:
    """Return what an option was given, or an element of its list, in the format after an older one."""
    if isinstance(value, (list, tuple)):
        return type(value)(_upgraded(element, option, older) for element in value)
    if not isinstance(value, dict):
        return value
    new_names = _NEW_OPTIONS.get(older, {}).get(option, {})
    part = {new_names.get(name, name): _upgraded(inner, name, older) for name, inner in value.items()}
    if older == '2' and option == 'scaling':  # the only adapter of its time
        return {'type': 'RadiusScaling', **part}
    if older == _FIRST_EDITION:
        return _in_first_edition(part)
    kind = part.get('type')
    if older is not None or not isinstance(kind, str):
        return part
    defaults = _FORMER_DEFAULTS.get(kind, {})
    if kind in _WORD_HEADS and part.get('taxonomy') is None:
        defaults = dict(known_words='sky')
    missing = {name: value for name, value in defaults.items() if name not in part}
    return {**part, 'type': _NEW_TYPES.get(kind, kind), **missing}


def _in_first_edition(part: dict[Any, Any]) -> dict[Any, Any]:
    """Return a part of a config that names the first edition of the sky; heads also know the words of today."""
    if part.get('taxonomy') in _FIRST_EDITIONS.values():
        return part
    edited = {
        name: _FIRST_EDITIONS.get(value, value) if name in _EDITED and isinstance(value, str) else value
        for name, value in part.items()
    }
    is_head = 'text_encoder' in edited and edited.get('taxonomy') in _FIRST_EDITIONS.values()
    return {**edited, 'known_words': part['taxonomy']} if is_head else edited


def write_release(config: Config, state_dict: dict[str, torch.Tensor], *, path: str | Path, **about: str) -> None:
    """Write weights in half precision with what inference needs of a config.

    Args:
        config: Config of the training. The model and the test pipeline go into the file.
        state_dict: The weights.
        path: The file to write.
        about: More strings to carry, such as ``license``.

    Raises:
        ValueError: A weight does not fit into half precision, or the config asks for what no file of a model may ask
            for, such as a module of yours or a vocabulary in a file; see :func:`config_of`.
    """
    register_parts()
    needed = _needed(config)
    check_foreign_config(needed, path)
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state_dict.items()}
    if bad := [name for name, value in halves.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise ValueError(f'these weights do not fit into half precision: {", ".join(bad)}')
    halves = {name: value.contiguous() for name, value in halves.items()}
    save_file(halves, str(path), metadata={**about, 'config': repr(needed), 'config_format': CONFIG_FORMAT})


def _needed(config: Config) -> dict[str, Any]:
    """Return what inference needs of a config."""
    plain = config.to_dict()
    model = plain['model']
    for part in (model['backbone'], model['backbone'].get('proxy') or {}):
        part.pop('weights', None)  # they are in the file
    dataset = plain['test_dataloader']['dataset']
    while 'pipeline' not in dataset:
        dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
    pipeline = [step for step in dataset['pipeline'] if 'Annotations' not in step['type']]
    return dict(
        default_scope='mmseg',
        custom_imports=dict(imports=['hyperbolic_seg.plugin'], allow_failed_imports=False),
        model=_portable(model),
        test_dataloader=dict(dataset=dict(type='VocabularyDataset', pipeline=_portable(pipeline))),
    )


def _portable(part: Any) -> Any:
    """Return a part of a config without what its training started from, and without options of one machine."""
    if isinstance(part, (list, tuple)):
        return type(part)(_portable(element) for element in part)
    if not isinstance(part, dict):
        return part
    # The pretrained tag of CLIP is kept: it tells the activation, and where a text encoder for other words is.
    left_out = _MACHINE_OPTIONS | _TRAINING_OPTIONS | (set() if part.get('type') in _CLIP_TYPES else {'pretrained'})
    return {name: _portable(value) for name, value in part.items() if name not in left_out}
