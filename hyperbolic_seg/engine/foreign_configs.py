"""Guard for configs inside files of others: they may ask for known parts in their places, and for nothing else.

A registry of MMEngine imports and calls whatever a ``type`` names, and many options name files or addresses. So
everything is refused that is not known to be harmless: types by their place, words by their option.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.registry import Registry
from mmseg.registry import MODELS, TRANSFORMS, WEIGHT_INITIALIZERS

from hyperbolic_seg.files import printable
from hyperbolic_seg.layers.adapters import ADAPTERS
from hyperbolic_seg.text.minilm import OFFLINE
from hyperbolic_seg.text.vocabulary import built_in_vocabularies
from hyperbolic_seg.text.yaml_files import shown

__all__ = ['check_foreign_config']

_DEEPEST = 32  # levels of a config; HyperCLIP needs 6
_LONGEST = 1000  # characters of a text
_SCOPE = 'mmseg'
_OWN_MODULES = ('hyperbolic_seg.plugin', 'hyperbolic_seg')
_DATASETS = ('VocabularyDataset', 'GroundCloudDataset')

# Parts of MMSegmentation that open files, import code by name or need packages of their own are left out.
_BACKBONES = (
    'TimmUNet OpenCLIPVisionBackbone ProxyCLIPBackbone UNet ResNet ResNetV1c ResNetV1d ResNeXt HRNet MobileNetV2 '
    'MobileNetV3 MixVisionTransformer SwinTransformer'
)
_HEADS = (
    'HyperCLIPHead CostAggregationHead SEDHead HyperbolicHead FCNHead DepthwiseSeparableFCNHead PSPHead ASPPHead '
    'DepthwiseSeparableASPPHead UPerHead SegformerHead FPNHead OCRHead DAHead NLHead GCHead LRASPPHead'
)
_LOSSES = (
    'CrossEntropyLoss DiceLoss FocalLoss LovaszLoss TverskyLoss OhemCrossEntropy HierarchicalCrossEntropyLoss '
    'MultilabelCrossEntropyLoss TextEntailmentLoss TextRadiusLoss ContrastiveLoss EntailmentLoss HierarchyLoss '
    'CompositionalLoss RadiusLoss'
)
_INITIALIZERS = 'Constant Xavier Normal TruncNormal Uniform Kaiming Caffe2Xavier'
_PLACES: dict[str, tuple[Registry, frozenset[str]]] = {
    place: (registry, frozenset(names.split()))
    for place, registry, names in (
        ('model', MODELS, 'EncoderDecoder CascadeEncoderDecoder HyperCLIPSegmentor'),
        ('data_preprocessor', MODELS, 'SegDataPreProcessor DaylightPreProcessor'),
        ('backbone', MODELS, _BACKBONES),
        ('neck', MODELS, 'FPN MultiLevelNeck Feature2Pyramid JPU'),
        ('decode_head', MODELS, _HEADS),
        ('auxiliary_head', MODELS, _HEADS),
        ('head', MODELS, _HEADS),
        ('classifier', MODELS, 'HyperbolicMLR HyperbolicPrototypes EntailmentCones'),
        ('loss_decode', MODELS, _LOSSES),
        ('text_losses', MODELS, _LOSSES),
        ('text_encoder', MODELS, 'OpenCLIPTextEncoder'),
        ('tuner', MODELS, 'RadiusTuner'),
        ('norm_cfg', MODELS, 'BN BN1d BN2d SyncBN GN LN IN IN1d IN2d HyperbolicBN HyperbolicSyncBN'),
        ('conv_cfg', MODELS, 'Conv Conv1d Conv2d ConvWS ConvAWS HyperbolicConv2d'),
        (
            'act_cfg',
            MODELS,
            'ReLU LeakyReLU PReLU RReLU ReLU6 ELU Sigmoid Tanh GELU SiLU HSigmoid HSwish Swish HyperbolicReLU',
        ),
        ('upsample_cfg', MODELS, 'nearest bilinear deconv pixel_shuffle InterpConv DeconvModule'),
        ('init_cfg', WEIGHT_INITIALIZERS, _INITIALIZERS),
        ('override', WEIGHT_INITIALIZERS, _INITIALIZERS),
        (
            'pipeline',
            TRANSFORMS,
            'LoadVerifiedImage LoadImageFromFile Resize ResizeToMultiple ResizeShortestEdge Pad PackSegInputs',
        ),
    )
}
"""Registry and allowed types by option. The elements of a list have the option of the list."""

_MUST_BE_NONE = frozenset(
    (
        *('backend_args', 'cache_dir', 'checkpoint', 'checkpoint_path', 'data_root', 'device', 'env_cfg'),
        *('custom_hooks', 'default_hooks', 'file_client', 'file_client_args', 'hooks', 'launcher', 'load_from'),
        *('resume', 'weights', 'work_dir'),
    )
)
"""Options that name files, addresses or places to write to; a file of a model needs none of them."""

_INTERPOLATIONS = 'nearest bilinear bicubic area lanczos'
_WORDS: dict[str, frozenset[str]] = {
    option: frozenset(words.split())
    for option, words in (
        ('activation', 'gelu'),
        ('arch', 'tiny small base large nano micro'),
        ('backend', 'cv2 pillow'),
        ('block', 'BASIC BOTTLENECK'),
        ('color_type', 'color grayscale unchanged'),
        ('cost', 'cosine distance'),
        ('dense', 'maskclip catseg sclip clearclip naclip tokens'),
        ('distribution', 'normal uniform'),
        ('ignored', 'skip negative'),
        ('imdecode_backend', 'cv2 pillow'),
        ('input_transform', 'resize_concat multiple_select'),
        ('interpolation', _INTERPOLATIONS),
        ('logits', 'distance mlr cosine'),
        ('mode', f'slide whole fan_in fan_out {_INTERPOLATIONS}'),
        ('nonlinearity', 'relu leaky_relu'),
        ('order', 'conv norm act'),
        ('padding_mode', 'zeros reflect replicate circular constant edge symmetric'),
        ('queries', 'concept phrase'),
        ('positions', 'size scale'),
        ('reduction', 'mean sum none'),
        ('style', 'pytorch caffe'),
        (
            'meta_keys',
            'img_path seg_map_path ori_shape img_shape pad_shape scale_factor flip flip_direction reduce_zero_label',
        ),
    )
}


def check_foreign_config(config: Any, source: str | Path) -> None:
    """Refuse a config of others that asks for more than known parts in their places.

    Nothing is built, and no name in the config is imported, opened or called. The size of the model is not checked.

    Args:
        config: The config: ``model``, ``test_dataloader`` with a pipeline, and at most ``default_scope`` and
            ``custom_imports`` as :func:`~hyperbolic_seg.apis.released.write_release` writes them.
        source: Name of the file in errors.

    Raises:
        ValueError: The config asks for something else; the message names what and where.
    """
    try:
        _check_whole(config)
    except ValueError as error:
        raise ValueError(
            f'{source} is refused, because its config {error}. If you trust it, give its config as a file, and this '
            'file as the weights'
        ) from None


def _check_whole(config: Any) -> None:
    known = {'default_scope', 'custom_imports', 'model', 'test_dataloader'}
    if not isinstance(config, dict):
        raise ValueError(f'is {shown(config)}, not a dict')
    if strangers := [key for key in config if not isinstance(key, str) or key not in known]:
        raise ValueError(f'has {shown(strangers[0])}: expected {", ".join(sorted(known))} and nothing else')
    if config.get('default_scope', _SCOPE) != _SCOPE:
        raise ValueError(f'has default_scope={shown(config["default_scope"])}: expected {_SCOPE!r}')
    _check_imports(config.get('custom_imports'))
    if not isinstance(config.get('model'), dict) or 'type' not in config['model']:
        raise ValueError(f'has model={shown(config.get("model"))}: expected a dict with its type')
    _check(config['model'], 'model', 'model', 0)
    loader = config.get('test_dataloader')
    dataset = loader.get('dataset') if isinstance(loader, dict) and set(loader) == {'dataset'} else None
    if not isinstance(dataset, dict) or not {'pipeline'} <= set(dataset) <= {'type', 'pipeline'}:
        raise ValueError(f'has test_dataloader={shown(loader)}: expected a dataset with its pipeline alone')
    if 'type' in dataset and dataset['type'] not in _DATASETS:  # never built, but no other name passes either
        expected = ' or '.join(_DATASETS)
        raise ValueError(f'has test_dataloader.dataset.type={shown(dataset["type"])}: expected {expected}')
    steps = dataset['pipeline']
    if not isinstance(steps, (list, tuple)) or not all(isinstance(s, dict) and 'type' in s for s in steps):
        raise ValueError(f'has the pipeline {shown(steps)}: expected a list of dicts with their types')
    _check(steps, 'pipeline', 'test_dataloader.dataset.pipeline', 0)


def _check_imports(given: Any) -> None:
    """Refuse imports other than those of released files, which are not imported either."""
    if given is None:
        return
    names = given.get('imports') if isinstance(given, dict) else None
    names = [names] if isinstance(names, str) else names
    fits = isinstance(names, (list, tuple)) and all(isinstance(n, str) and n in _OWN_MODULES for n in names)
    allowed = {'imports', 'allow_failed_imports'}
    if not fits or set(given) - allowed or not isinstance(given.get('allow_failed_imports', False), bool):
        raise ValueError(f'has custom_imports={shown(given)}: expected {_OWN_MODULES[0]!r} alone')


def _check(value: Any, option: str, where: str, depth: int) -> None:
    """Refuse a value that an option may not have.

    Args:
        value: The value.
        option: Name of the option; elements of a list have the option of the list.
        where: Place in the config, for errors.
        depth: Number of levels above the value.
    """
    if depth > _DEEPEST:
        raise ValueError(f'is nested more than {_DEEPEST} levels deep')
    if option in _MUST_BE_NONE and value is not None:
        raise ValueError(f'has {where}={shown(value)}: expected no such option in the file of a model')
    if isinstance(value, dict):
        _check_dict(value, option, where, depth)
    elif isinstance(value, (list, tuple)):
        for number, element in enumerate(value):
            _check(element, option, f'{where}[{number}]', depth + 1)
    elif isinstance(value, str):
        _check_text(value, option, where)
    elif value is not None and type(value) not in (bool, int, float):
        raise ValueError(f'has {where}={shown(value)}: expected numbers, known words, lists and dicts')
    elif option == 'pretrained' and value is not None:
        raise ValueError(f'has {where}={shown(value)}: expected a pretrained tag of open_clip')


def _check_dict(options: Mapping[Any, Any], place: str, where: str, depth: int) -> None:
    if 'type' in options:
        _check_type(options['type'], place, f'{where}.type')
    for name, value in options.items():
        pattern = r'[A-Za-z][\w ]{0,63}' if place == 'node_weight' else r'[A-Za-z]\w{0,63}'  # names of concepts
        if not isinstance(name, str) or not re.fullmatch(pattern, name, re.ASCII):
            raise ValueError(f'has the option {shown(name)} in {where}: expected the name of an option')
        if name == 'pretrained' and isinstance(value, str):
            _check_tag(options, f'{where}.{name}')
        elif name != 'type':
            _check(value, name, f'{where}.{name}', depth + 1)


def _check_type(given: Any, place: str, where: str) -> None:
    if place == 'adapter':  # a plain dict and no registry: layers know no MMEngine
        if not isinstance(given, str) or given not in ADAPTERS:
            raise ValueError(f'has {where}={shown(given)}: expected one of {", ".join(sorted(ADAPTERS))}')
        return
    if place not in _PLACES:
        raise ValueError(f'has {where}={shown(given)}: expected no type there')
    registry, allowed = _PLACES[place]
    if not isinstance(given, str) or given not in allowed:
        raise ValueError(f'has {where}={shown(given)}: expected one of {", ".join(sorted(allowed))}')
    if not _is_registered(registry, given):  # MMEngine would import a module of this name
        raise ValueError(f'has {where}={given!r}, which the MMSegmentation here does not have')


def _is_registered(registry: Registry, name: str) -> bool:
    registry.import_from_location()
    level: Registry | None = registry
    while level is not None:
        if name in level.module_dict:
            return True
        level = level.parent
    return False


def _check_text(text: str, option: str, where: str) -> None:
    if len(text) > _LONGEST or printable(text) != text:
        raise ValueError(f'has {where}={shown(text)}: expected at most {_LONGEST} characters, none of control')
    if option in _WORDS:
        if text not in _WORDS[option]:
            raise ValueError(f'has {where}={shown(text)}: expected one of {", ".join(sorted(_WORDS[option]))}')
    elif option not in _TEXTS:
        raise ValueError(f'has {where}={shown(text)}: expected no text there')
    elif not _TEXTS[option][0](text, where):
        raise ValueError(f'has {where}={shown(text)}: expected {_TEXTS[option][1]}')


def _check_tag(options: Mapping[Any, Any], where: str) -> None:
    """Refuse ``pretrained`` unless it is a tag of open_clip for the model beside it."""
    from open_clip import list_pretrained_tags_by_model

    model, tag = options.get('model'), options['pretrained']
    if options.get('type') not in ('OpenCLIPTextEncoder', 'OpenCLIPVisionBackbone', 'ProxyCLIPBackbone'):
        raise ValueError(f'has {where}={shown(tag)}: expected no such option, the weights are in the file')
    if not isinstance(model, str) or not _is_clip(model, where) or tag not in list_pretrained_tags_by_model(model):
        raise ValueError(f'has {where}={shown(tag)}: expected a pretrained tag that open_clip has for {shown(model)}')
    if Path(tag).exists():
        raise ValueError(f'has {where}={tag!r}, and a file of this name lies here: open_clip would read that instead')


def _is_built_in(name: str, where: str) -> bool:
    """Return whether a name is a built-in vocabulary, or a prompt in a list, which may be any."""
    by_itself = not where.endswith(']')
    return not by_itself or name in built_in_vocabularies()


def _is_clip(name: str, where: str) -> bool:
    if name == OFFLINE:
        return True
    from open_clip import get_model_config, list_models  # takes half a second

    if name not in list_models():
        return False
    # A tower or tokenizer of Hugging Face is looked up at its hub, or in a folder of the working directory.
    text = (get_model_config(name) or {}).get('text_cfg', {})
    return not {'hf_model_name', 'hf_tokenizer_name'} & set(text)


def _is_timm(name: str, where: str) -> bool:
    from timm import is_model

    return re.fullmatch(r'\w+(\.\w+)?', name, re.ASCII) is not None and is_model(name)


def _is_template(text: str, where: str) -> bool:
    return text == 'imagenet' or (text.count('{') == text.count('}') == text.count('{}') == 1)


def _like(pattern: str) -> Callable[[str, str], bool]:
    return lambda text, where: re.fullmatch(pattern, text, re.ASCII) is not None


def _is_listed_like(pattern: str) -> Callable[[str, str], bool]:
    return lambda text, where: where.endswith(']') and re.fullmatch(pattern, text, re.ASCII) is not None


_VOCABULARY = 'the name of a built-in vocabulary, or a list of prompts'
_TEXTS: dict[str, tuple[Callable[[str, str], bool], str]] = {
    'vocabulary': (_is_built_in, _VOCABULARY),
    'taxonomy': (_is_built_in, _VOCABULARY),
    'known_words': (_is_built_in, _VOCABULARY),
    'classes': (_is_built_in, _VOCABULARY),
    'model': (_is_clip, "a model of open_clip, or 'offline'"),
    'encoder': (_is_timm, 'a model of timm'),
    'templates': (_is_template, 'templates with one {} each'),
    'trainable': (_is_listed_like(r'[\w.^$|()\\]*'), 'a list of patterns for names of parameters'),
    'name': (lambda text, where: where.endswith(('.background.name', '.override.name')), 'no name there'),
    'varied': (lambda text, where: '.color_likelihood.varied[' in where, 'a list of nodes in color_likelihood alone'),
    'layer': (_like(r'\w+'), 'the name of a layer'),
    'loss_name': (_like(r'\w+'), 'the name of a loss'),
}
"""Test of a text and description of valid ones, by option."""
