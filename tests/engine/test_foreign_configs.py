"""A config inside a file can ask for known parts alone."""

import copy
import json
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config
from mmseg.registry import MODELS
from safetensors.torch import save_file

from hyperbolic_seg.apis.released import CONFIG_FORMAT, config_of, load_release, write_release
from hyperbolic_seg.apis.releases import RELEASES
from hyperbolic_seg.engine import foreign_configs
from hyperbolic_seg.engine.foreign_configs import check_foreign_config


def plain(name='hyperclip-unet-sky'):
    return load_release(name)[0].to_dict()


def written(folder, config):
    path = folder / 'model.safetensors'
    save_file(dict(a=torch.zeros(1)), path, metadata=dict(config=repr(config), config_format=CONFIG_FORMAT))
    return path


def places(value, way=()):
    """Yield the paths to all values of a config."""
    yield way
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, element in inner:
        yield from places(element, (*way, key))


def changed(value, way, change):
    """Return a copy of a config with the value at the end of a path changed."""
    if not way:
        return change(value)
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[way[0]] = changed(value[way[0]], way[1:], change)
    return type(value)(copied)


def planted(value, trap):
    """Yield a trap in the place of a value, and inside it, in all ways."""
    yield trap
    yield [trap]
    yield ({'inner': trap},)
    if isinstance(value, dict):
        yield value | trap
        yield value | {'type': trap}
        yield value | {'type': [trap['type']]}
        yield value | {'extra': trap}
        yield {'type': trap['type'], **{key: trap for key in value if key != 'type'}}
    if isinstance(value, (list, tuple)):
        yield type(value)([*value, trap])
        yield [trap, *value]


@pytest.fixture
def traps(tmp_path, monkeypatch):
    """Configs of parts that leave a folder behind when they are built, by call or by import."""
    sprung = tmp_path / 'sprung'
    (tmp_path / 'undotted_trap.py').write_text(f'import os\nos.mkdir({str(sprung)!r})\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    kinds = [
        dict(type='os.mkdir', path=str(sprung)),
        dict(type='os.system', command=f'mkdir {sprung}'),
        dict(type='builtins.exec', source=f'import os; os.mkdir({str(sprung)!r})'),
        dict(type='undotted_trap'),
        dict(type='antigravity'),
        dict(type='mmengine.utils.mkdir_or_exist', dir_name=str(sprung)),
    ]
    yield kinds
    assert not sprung.exists() and not {'undotted_trap', 'antigravity'} & set(sys.modules)


@pytest.mark.parametrize('name', list(RELEASES))
def test_no_option_of_a_config_accepts_code(name, traps, tmp_path):
    config, tried = plain(name), 0
    for way in places(config):
        for trap in traps:
            value = config
            for key in way:
                value = value[key]
            for bad in planted(value, trap):
                tried += 1
                with pytest.raises(ValueError, match='is refused, because its config'):
                    check_foreign_config(changed(config, way, lambda _, bad=bad: bad), 'model.safetensors')
    assert tried > 1000
    for way in [('model',), ('model', 'data_preprocessor'), ('test_dataloader', 'dataset', 'pipeline', 0)]:
        for trap in traps:
            with pytest.raises(ValueError, match=trap['type'].replace('.', r'\.')):
                config_of(written(tmp_path, changed(config, way, lambda _, trap=trap: trap)))


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5)
WORDS = st.sampled_from(
    ['type', 'init_cfg', 'pretrained', 'vocabulary', 'norm_cfg', 'pipeline', 'name', 'BN', 'os.system']
)
ANYTHING = st.recursive(
    VALUES | WORDS,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), part, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_any_change_of_a_config_is_accepted_or_refused_and_leaves_it_unchanged(data):
    config = plain()
    way = data.draw(st.sampled_from(list(places(config))))
    other = changed(config, way, lambda _: data.draw(ANYTHING))
    before = copy.deepcopy(other)
    try:
        check_foreign_config(other, 'model.safetensors')
    except ValueError as error:
        assert 'model.safetensors' in str(error) and len(str(error)) < 2000
    assert repr(before) == repr(other)


@pytest.mark.parametrize(
    'way, value, message',
    [
        (('custom_imports',), dict(imports=['antigravity']), 'custom_imports'),
        (('custom_imports',), dict(imports=['hyperbolic_seg.app.cli']), 'custom_imports'),
        (('custom_imports',), dict(imports='os'), 'custom_imports'),
        (('custom_imports',), dict(imports=['hyperbolic_seg'], allow_failed_imports='os'), 'custom_imports'),
        (('default_scope',), 'mmdet', "default_scope='mmdet'"),
        (('model', '_scope_'), 'mmdet', "the option '_scope_'"),
        (('model', '_delete_'), True, "the option '_delete_'"),
        (('model', 3), True, 'the option 3'),
        (('_base_',), 'a.py', "has '_base_'"),
        (('load_from',), 'https://example.org/a.pth', "has 'load_from'"),
        (('custom_hooks',), [], "has 'custom_hooks'"),
        (('visualizer',), {}, "has 'visualizer'"),
        (('test_evaluator',), {}, "has 'test_evaluator'"),
        (('model', 'init_cfg'), dict(type='Pretrained', checkpoint='a.pth'), "init_cfg.type='Pretrained'"),
        (('model', 'init_cfg'), dict(type='Normal', override=dict(type='Pretrained')), "override.type='Pretrained'"),
        (('model', 'init_cfg'), dict(type='Normal', checkpoint='a.pth'), "checkpoint='a.pth'"),
        (('model', 'pretrained'), 'open-mmlab://resnet50', 'model.pretrained'),
        (('model', 'pretrained'), True, 'model.pretrained'),
        (('model', 'backbone'), dict(type='TIMMBackbone', model_name='resnet18'), "type='TIMMBackbone'"),
        (('model', 'backbone'), dict(type='VPD'), "type='VPD'"),
        (('model', 'backbone', 'weights'), 'package', "weights='package'"),
        (('model', 'backbone', 'encoder'), 'local-dir:/tmp', "encoder='local-dir:/tmp'"),
        (('model', 'backbone', 'encoder'), 'hf-hub:a/b', 'a model of timm'),
        (('model', 'backbone', 'encoder'), '../resnet18', 'a model of timm'),
        (('model', 'decode_head', 'vocabulary'), '/etc/passwd', 'built-in vocabulary'),
        (('model', 'decode_head', 'vocabulary'), '../vocabularies/sky', 'built-in vocabulary'),
        (('model', 'decode_head', 'taxonomy'), 'https://example.org', 'built-in vocabulary'),
        (('model', 'decode_head', 'known_words'), 'a.yaml', 'built-in vocabulary'),
        (('model', 'decode_head', 'loss_decode', 'classes'), 'a.yaml', 'built-in vocabulary'),
        (('model', 'decode_head', 'loss_decode', 'class_weight'), 'pickle', "class_weight='pickle': expected no text"),
        (('model', 'decode_head', 'text_encoder', 'model'), 'hf-hub:a/b', 'a model of open_clip'),
        (('model', 'decode_head', 'text_encoder', 'model'), 'local-dir:/tmp', 'a model of open_clip'),
        (('model', 'decode_head', 'text_encoder', 'cache_dir'), '/tmp', "cache_dir='/tmp'"),
        (('model', 'decode_head', 'text_encoder', 'pretrained'), 'openai', "that open_clip has for 'offline'"),
        (('model', 'decode_head', 'text_encoder', 'templates'), ['{0.__class__}'], 'templates with one'),
        (('model', 'decode_head', 'text_encoder', 'trainable'), ['/etc'], 'a list of patterns'),
        (('model', 'decode_head', 'sampler'), dict(type='OHEMPixelSampler'), 'expected no type there'),
        (('model', 'test_cfg', 'varied'), ['not sky'], 'expected a list of nodes in color_likelihood alone'),
        (('model', 'test_cfg', 'type'), 'os.system', 'expected no type there'),
        (('model', 'test_cfg', 'mode'), 'os.system', "mode='os.system': expected one of"),
        (('model', 'decode_head', 'norm_cfg', 'type'), b'BN', "type=b'BN'"),
        (('model', 'decode_head', 'norm_cfg', 'type'), 'mmseg.BN', "type='mmseg.BN'"),
        (('model', 'decode_head', 'norm_cfg', 'type'), 'ReLU', "type='ReLU'"),
        (('model', 'train_cfg'), {'a': {1, 2}}, 'expected numbers'),
        (('model', 'train_cfg'), 1j, 'expected numbers'),
        (('test_dataloader', 'num_workers'), 4, 'a dataset with its pipeline alone'),
        (('test_dataloader', 'dataset', 'data_root'), '/', 'a dataset with its pipeline alone'),
        (('test_dataloader', 'dataset', 'type'), 'os.system', 'expected VocabularyDataset or GroundCloudDataset'),
        (('test_dataloader', 'dataset', 'pipeline', 0, 'backend_args'), dict(backend='petrel'), 'backend_args'),
        (('test_dataloader', 'dataset', 'pipeline', 0, 'file_client_args'), {}, 'file_client_args'),
        *(
            (('test_dataloader', 'dataset', 'pipeline', 1), dict(type=kind, transforms=[dict(type='os.system')]), kind)
            for kind in ('Compose', 'RandomApply', 'TransformBroadcaster', 'KeyMapper', 'Albu', 'LoadBiomedicalData')
        ),
    ],
)
def test_the_refused_option_is_named(way, value, message):
    *above, last = way
    config = changed(plain(), tuple(above), lambda part: set_in(part, last, value))
    with pytest.raises(ValueError, match=message):
        check_foreign_config(config, 'model.safetensors')


def set_in(part, key, value):
    if isinstance(part, dict):
        return part | {key: value}
    return [*part[:key], value, *part[key + 1 :]]


def test_deeply_nested_configs_are_refused():
    nest = {}
    for _ in range(500):
        nest = dict(a=nest)
    with pytest.raises(ValueError, match='nested more than'):
        check_foreign_config(changed(plain(), ('model', 'train_cfg'), lambda _: nest), 'model.safetensors')


@pytest.mark.parametrize(
    'config', [None, [], 'text', {}, dict(model={}), dict(model=dict(type='EncoderDecoder')), {(): 1}, {1: 2}]
)
def test_configs_of_the_wrong_form_are_refused(config):
    with pytest.raises(ValueError, match=r'model\.safetensors is refused'):
        check_foreign_config(config, 'model.safetensors')


def test_a_tag_that_is_also_a_local_file_is_refused(tmp_path, monkeypatch):
    encoder = dict(type='OpenCLIPTextEncoder', model='ViT-B-16', pretrained='openai')
    config = changed(plain(), ('model', 'decode_head', 'text_encoder'), lambda _: encoder)
    monkeypatch.chdir(tmp_path)
    check_foreign_config(config, 'model.safetensors')
    (tmp_path / 'openai').write_bytes(b'')
    with pytest.raises(ValueError, match='a file of this name lies here'):
        check_foreign_config(config, 'model.safetensors')


def test_names_that_this_mmsegmentation_lacks_are_not_imported(traps, monkeypatch):
    registry, known = foreign_configs._PLACES['backbone']
    monkeypatch.setitem(foreign_configs._PLACES, 'backbone', (registry, known | {'undotted_trap'}))
    with pytest.raises(ValueError, match='does not have'):
        check_foreign_config(changed(plain(), ('model', 'backbone'), lambda _: traps[3]), 'model.safetensors')


def test_the_parts_are_those_of_known_packages():
    ours = ('hyperbolic_seg', 'mmseg', 'mmcv', 'mmengine', 'torch')
    for place, (registry, names) in foreign_configs._PLACES.items():
        found = [part for name in names if (part := registered(registry, name)) is not None]
        assert len(found) > 0.9 * len(names), place
        assert {part.__module__.partition('.')[0] for part in found} <= set(ours)
    assert registered(MODELS, 'no such part') is None


def registered(registry, name):
    while registry is not None:
        if name in registry.module_dict:
            return registry.module_dict[name]
        registry = registry.parent
    return None


NOT_PORTABLE = {'pc459': 'vocabulary='}  # in a file that comes with the data


def test_every_config_makes_a_file_that_can_be_opened(repository, tmp_path):
    root, weights = repository / 'configs', dict(a=torch.zeros(1))
    files = [path for path in sorted(root.rglob('*.py')) if '_base_' not in path.parts]
    assert len(files) > 20
    for path in files:
        config, out = Config.fromfile(path), tmp_path / 'model.safetensors'
        if reason := NOT_PORTABLE.get(path.stem.rpartition('_')[2]):
            with pytest.raises(ValueError, match=reason):
                write_release(config, weights, path=out)
            continue
        write_release(config, weights, path=out)
        read = config_of(out)
        assert read.model.type == config.model.type
        assert 'weights' not in read.model.backbone


def test_what_a_training_started_from_is_left_out(repository, tmp_path):
    config = Config.fromfile(repository / 'configs' / 'unet_cloud.py')
    config.model.pretrained = 'open-mmlab://resnet50'
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='torchvision://resnet50')
    config.test_dataloader.dataset.pipeline[0].backend_args = dict(backend='petrel')
    write_release(config, dict(a=torch.zeros(1)), path=tmp_path / 'model.safetensors')
    text = json.dumps(config_of(tmp_path / 'model.safetensors').to_dict())
    assert 'resnet50' not in text and 'petrel' not in text


def test_a_module_of_ones_own_is_refused_when_it_is_written(repository, tmp_path):
    config = Config.fromfile(repository / 'configs' / 'unet_cloud.py')
    config.model.backbone.type = 'MyBackbone'
    with pytest.raises(ValueError, match="type='MyBackbone': expected one of .*UNet"):
        write_release(config, dict(a=torch.zeros(1)), path=tmp_path / 'model.safetensors')
    assert not (tmp_path / 'model.safetensors').exists()


def test_an_adapter_is_one_of_this_library():
    config = plain()
    config['model']['decode_head']['text_encoder']['adapter'] = dict(type='RadiusScaling', block_size=16)
    check_foreign_config(config, 'file')
    config['model']['decode_head']['text_encoder']['adapter']['type'] = 'os.system'
    with pytest.raises(ValueError, match="adapter.type='os.system': expected one of BlockRotation"):
        check_foreign_config(config, 'file')
