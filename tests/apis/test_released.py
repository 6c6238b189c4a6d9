"""Models in one file, and the released ones."""

import os
import shutil
import struct
from importlib.metadata import distribution

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file

from hyperbolic_seg.apis import HyperSegInferencer, load_model
from hyperbolic_seg.apis.released import (
    CONFIG_FORMAT,
    LONGEST_CONFIG,
    config_of,
    load_release,
    upgrade,
    write_release,
)
from hyperbolic_seg.apis.releases import RELEASES, Release, find_release, list_models
from hyperbolic_seg.files import sha256_of
from hyperbolic_seg.sky.renderer import SkyLabel, render_sky, sample_scene
from hyperbolic_seg.text import Taxonomy, Vocabulary
from tests.shrink import shrink


@pytest.fixture(scope='module')
def config(repository, tiny_sky, tmp_path_factory):
    cfg = Config.fromfile(repository / 'configs' / 'hyperclip_unet_cloud.py')
    return shrink(cfg, tiny_sky, tmp_path_factory.mktemp('work'))


@pytest.fixture
def file(config, tmp_path):
    """A small model in one file, and the inferencer that it was made of."""
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match='randomly initialized'):
        inferencer = HyperSegInferencer(config.copy(), device='cpu')
    inferencer.model.init_weights()
    path = tmp_path / 'small.safetensors'
    write_release(config, inferencer.model.state_dict(), path=path, license='CC0-1.0')
    return path, inferencer


@pytest.fixture
def no_tower(monkeypatch):
    def missing(*args, **kwargs):
        raise AssertionError('the text tower was asked for')

    monkeypatch.setattr('hyperbolic_seg.text.OpenCLIPTextEncoder.encode_vocabulary', missing)


def test_one_file_is_the_whole_model(file, no_tower):
    path, inferencer = file
    loaded = HyperSegInferencer(path, device='cpu')
    image = render_sky(0, 64).image
    for prompts in (None, ['clear sky', 'cloud'], ['Cu', 'high cloud', 'sun']):
        one, other = (model(image, prompts=prompts)['predictions'][0] for model in (inferencer, loaded))
        assert one['classes'] == other['classes']
        np.testing.assert_allclose(one['confidence'], other['confidence'], atol=0.02)
    with pytest.raises(ValueError, match='has its own weights'):
        HyperSegInferencer(path, 'other.pth')


def test_it_is_a_checkpoint_for_mmengine_too(file):
    path, inferencer = file
    checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    assert checkpoint['meta']['license'] == 'CC0-1.0'
    inferencer.model.load_state_dict(checkpoint['state_dict'])
    assert config_of(path).model.backbone.type == 'TimmUNet'
    (path.parent / 'not.safetensors').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='is not a safetensors file'):
        CheckpointLoader.load_checkpoint(str(path.parent / 'not.safetensors'))
    with pytest.raises(FileNotFoundError, match='does not exist'):
        CheckpointLoader.load_checkpoint(str(path.parent / 'none.safetensors'))
    save_file(dict(a=torch.zeros(1)), path.parent / 'bare.safetensors')
    with pytest.raises(ValueError, match='carries no config'):
        HyperSegInferencer(path.parent / 'bare.safetensors')


def test_weights_beyond_half_precision_are_refused(config, tmp_path):
    with pytest.raises(ValueError, match='do not fit into half precision: large'):
        write_release(config, dict(large=torch.tensor([1e6])), path=tmp_path / 'a.safetensors')


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A folder on the path with a distribution of weights, which Python finds like any other."""
    site = tmp_path / 'site'
    (site / 'own_weights').mkdir(parents=True)
    (site / 'own_weights' / '__init__.py').write_text("raise RuntimeError('the package was imported')\n")
    (site / 'own_weights-1.0.dist-info').mkdir()
    metadata = 'Metadata-Version: 2.1\nName: own-weights\nVersion: 1.0\n'
    (site / 'own_weights-1.0.dist-info' / 'METADATA').write_text(metadata)
    points = '[hyperbolic_seg.weights]\nown = own_weights\nabsent = no_such_package\n'
    (site / 'own_weights-1.0.dist-info' / 'entry_points.txt').write_text(points)
    monkeypatch.syspath_prepend(site)
    return site / 'own_weights'


def test_a_release_is_found_in_any_distribution_and_checked(file, installed, monkeypatch):
    path, _ = file
    monkeypatch.setitem(RELEASES, 'small', Release(sha256_of(path), 'CC0-1.0', 'hyperbolic-seg-weights-small'))
    assert find_release('small') is None
    assert 'small' in list_models() and 'small' not in list_models(installed=True)
    expected = r'the weights of small \(CC0-1.0\) are not installed: pip install hyperbolic-seg-weights-small; .*'
    for load in (load_release, load_model, HyperSegInferencer):
        with pytest.raises(FileNotFoundError, match=f'{expected}pip install ./weights/small'):
            load('small')
    shutil.copy(path, installed / 'small.safetensors')
    assert find_release('small') == load_release('small')[1] == installed / 'small.safetensors'
    assert 'small' in list_models(installed=True)
    assert load_model('small', 'cpu').classes == list(Taxonomy.load('sky').leaves.names)
    with (installed / 'small.safetensors').open('ab') as stream:
        stream.write(b' ')
    with pytest.raises(RuntimeError, match='is not the released small'):
        HyperSegInferencer('small')


def test_names_are_checked():
    with pytest.raises(FileNotFoundError, match='neither a file nor a model that is released: hyperclip-unet-cloud'):
        HyperSegInferencer('hyperclip-unet-clouds')
    for find in (find_release, load_release, load_model):
        with pytest.raises(ValueError, match="no released model 'nothing': expected one of hyperclip-unet-cloud"):
            find('nothing')


@pytest.mark.parametrize('name', list(RELEASES))
def test_every_release_has_a_distribution_with_its_license(name, repository):
    release = RELEASES[name]
    found = distribution(release.distribution)
    assert found.metadata['License-Expression'] == release.license
    assert list_models() == list_models(installed=True) == list(RELEASES)
    card = (repository / 'weights' / release.distribution.rpartition('-')[2] / 'README.md').read_text(encoding='utf-8')
    assert card.startswith(f'# {name}\n') and release.install in card


@pytest.mark.parametrize('name', list(RELEASES))
def test_a_released_model_segments_skies(name, no_tower):
    _, path = load_release(name)
    assert path.stat().st_size <= 12e6
    meta = CheckpointLoader.load_checkpoint(str(path))['meta']
    assert meta.get('license', meta.get('licence')) == RELEASES[name].license
    inferencer = HyperSegInferencer(name, device='cpu')
    kinds = [
        1 if 'cloud' in node.lineage else 0 if node.name == 'clear sky' else 255 for node in Taxonomy.load('sky').nodes
    ]
    kind_of = np.append(kinds, np.full(256 - len(kinds), 255))
    hits = pixels = 0
    for seed in range(8):
        sky = render_sky(9000 + seed, 160)
        truth = kind_of[sky.labels]
        found = inferencer(sky.image, prompts=['clear sky', 'cloud'])['predictions'][0]['labels']
        hits += (found == truth)[truth != 255].sum()
        pixels += (truth != 255).sum()
    assert hits / pixels > 0.8


@pytest.mark.parametrize(
    'config',
    [
        '',
        '[1, 2]',
        'dict(a=1)',
        "__import__('os').mkdir('sprung')",
        '(' * 100_000,
        '-' * 500_000 + '1',
        '1' + '+1' * 300_000,
        'a' + '.a' * 300_000,
        '[' * 90 + ']' * 90,
        "{'model': {'type': '" + 'x' * 2000 + "'}}",
        '9' * 5000,
        "{'model': " + '9' * 4000 + '}',
        '\0',
        '{[]: 1}',
        'x' * (LONGEST_CONFIG + 1),
        "{'model': {'type': 'EncoderDecoder', 'backbone': {'type': 'UNet'}}, 'test_dataloader': None}",
    ],
    ids=range(16),
)
def test_a_config_inside_a_file_is_a_literal_and_no_more(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_file(dict(a=torch.zeros(1)), 'bad.safetensors', metadata=dict(config=config))
    with pytest.raises(ValueError, match=r'bad\.safetensors') as error:
        HyperSegInferencer('bad.safetensors', device='cpu')
    assert len(str(error.value)) < 1000 and not (tmp_path / 'sprung').exists()


def damaged(content):
    """What may have happened to a file."""
    yield b''
    yield b'\0' * 7
    yield content[:8]
    yield content[: len(content) // 2]
    yield content[:-1]
    yield struct.pack('<Q', 2**63) + content[8:]
    yield struct.pack('<Q', 5) + content[8:]
    yield content[:8] + b'x' * (len(content) - 8)
    yield content[:8] + b'{' * struct.unpack('<Q', content[:8])[0]
    yield b'PK' + content


def test_a_damaged_file_is_named(tmp_path):
    content = load_release('hyperclip-unet-sky')[1].read_bytes()
    path = tmp_path / 'damaged.safetensors'
    for bad in damaged(content):
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=r'damaged\.safetensors is not a safetensors file'):
            HyperSegInferencer(path, device='cpu')
    (tmp_path / 'folder.safetensors').mkdir()
    with pytest.raises(ValueError, match='a folder: expected a regular file'):
        HyperSegInferencer(tmp_path / 'folder.safetensors')
    with pytest.raises(FileNotFoundError, match='neither a file nor'):
        HyperSegInferencer(tmp_path / 'gone.safetensors')


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no FIFOs here')
def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe.safetensors')
    with pytest.raises(ValueError, match='a FIFO: expected a regular file'):
        HyperSegInferencer(tmp_path / 'pipe.safetensors')


def test_old_names_are_replaced_once():
    templates = ('{}', 'a photo of {}', 'a photo of the sky with {}', '{} seen from the ground')
    old = dict(
        model=dict(
            decode_head=dict(
                type='HyperCLIPHead',
                text_encoder=dict(type='OpenCLIPTextEncoder', model='offline'),
                loss_decode=[
                    dict(type='HierarchicalCrossEntropyLoss', picture_weight=0.5),
                    dict(type='CrossEntropyLoss'),
                ],
                text_losses=[dict(type='TextEntailmentLoss'), dict(type='TextRadiusLoss', taxonomy='other')],
                taxonomy='sky',
                wording=dict(noise=0.4),
                reading=dict(weight=4.0),
            ),
            auxiliary_head=dict(type='CostAggregationHead', taxonomy=None),
            test_cfg=dict(mode='whole', colours=dict(rounds=3)),
        ),
        test_dataloader=dict(
            dataset=dict(type='GroundCloudDataset', pipeline=[dict(type='LoadSkyImage'), dict(type='Resize')])
        ),
    )
    before = repr(old)
    new = upgrade(old)
    assert repr(old) == before
    model = new['model']
    assert model['decode_head'] == dict(
        type='HyperCLIPHead',
        text_encoder=dict(type='OpenCLIPTextEncoder', model='offline', templates=templates),
        loss_decode=[
            dict(type='HierarchicalCrossEntropyLoss', image_weight=0.5, taxonomy='sky_v1', classes='leaves_v1'),
            dict(type='CrossEntropyLoss'),
        ],
        text_losses=[dict(type='TextEntailmentLoss', taxonomy='sky_v1'), dict(type='TextRadiusLoss', taxonomy='other')],
        taxonomy='sky_v1',
        known_words='sky',
        phrase_augmentation=dict(noise=0.4),
        prompt_smoothing=dict(weight=4.0),
    )
    assert model['auxiliary_head'] == dict(type='CostAggregationHead', taxonomy=None, known_words='sky_v1')
    assert model['test_cfg'] == dict(mode='whole', color_likelihood=dict(rounds=3))
    dataset = new['test_dataloader']['dataset']
    assert dataset == dict(type='GroundCloudDataset', pipeline=[dict(type='LoadVerifiedImage'), dict(type='Resize')])
    assert upgrade(new) == new
    assert upgrade({'a': [dict(type=['x'])], 3: {(): 1}}) == {'a': [dict(type=['x'])], 3: {(): 1}}


def test_the_second_format_had_other_names_for_the_options_of_losses():
    loss = dict(type='HierarchicalCrossEntropyLoss', picture_weight=0.5, unlabelled=['stratus'])
    new_loss = dict(type='HierarchicalCrossEntropyLoss', image_weight=0.5, unlabeled=['stratus'])
    for old, expected in ((loss, new_loss), ([loss, dict(type='DiceLoss')], [new_loss, dict(type='DiceLoss')])):
        config = dict(model=dict(decode_head=dict(type='HyperCLIPHead', wording={}, loss_decode=old)))
        # The names and defaults of older files are not those of this format.
        assert upgrade(config, '2')['model']['decode_head'] == dict(
            type='HyperCLIPHead', wording={}, loss_decode=expected
        )
        assert upgrade(config, CONFIG_FORMAT) == config
    scaling = dict(block_size=128, curvature=0.01)
    config = dict(model=dict(backbone=dict(scaling=scaling), decode_head=dict(text_encoder=dict(scaling=None))))
    assert upgrade(config, '2')['model'] == dict(
        backbone=dict(adapter=dict(type='RadiusScaling', **scaling)), decode_head=dict(text_encoder=dict(adapter=None))
    )
    with pytest.raises(ValueError, match=r"config_format='1': expected one of \(None, '2'"):
        upgrade({}, '1')


def test_a_released_model_counts_a_building_as_the_obstruction_that_it_knows(no_tower):
    model, image = load_model('hyperclip-unet-sky', 'cpu'), render_sky(9004, 96).image
    assert model.classes == list(Vocabulary.load('leaves_v1').names)
    prompts = ['clear sky', 'cloud', 'obstruction']
    as_obstruction = model(image, prompts=prompts, threshold=0.6)['predictions'][0]
    with pytest.warns(UserWarning, match="does not tell 'house' from any other 'obstruction'"):
        as_house = model(image, prompts=[*prompts[:2], 'house'], threshold=0.6)['predictions'][0]
    assert as_house['classes'][2] == 'house'
    for key in ('labels', 'confidence', 'nodes', 'node_names'):
        np.testing.assert_array_equal(as_house[key], as_obstruction[key])
    with pytest.raises(ValueError, match="'building', 'tree' are all 'obstruction' to this model"):
        model.set_prompts(['building', 'tree', 'clear sky'])


def test_a_released_model_tells_a_house_from_the_sky(no_tower):
    model = load_model('hyperclip-unet-cloud', 'cpu')
    assert model.classes == list(Taxonomy.load('sky').leaves.names)
    model.set_prompts(['clear sky', 'cloud', 'building', 'tree'])
    hits = pixels = 0
    for seed in range(4):
        scene = sample_scene(seed, camera='fisheye', time='day', genera=['cumulus'], skyline='street').plain()
        sky = render_sky(seed, 192, scene=scene)
        house = sky.labels == SkyLabel.BUILDING
        assert house.mean() > 0.1
        hits, pixels = hits + (model.predict_one(sky.image)['labels'] == 2)[house].sum(), pixels + house.sum()
    assert hits > 0.6 * pixels


def test_a_model_of_any_format_is_loaded(file, tmp_path):
    path, inferencer = file
    for config_format in (None, '2', '3', CONFIG_FORMAT):
        config = config_of(path).to_dict()
        loss = config['model']['decode_head']['loss_decode']
        loss.update(image_weight=0.25, unlabeled=[])
        if config_format in (None, '2'):
            loss.update(picture_weight=loss.pop('image_weight'), unlabelled=loss.pop('unlabeled'))
        state = inferencer.model.state_dict()
        if config_format != CONFIG_FORMAT:  # heads told no attributes then
            del config['model']['decode_head']['attribute_loss']
            state = {name: value for name, value in state.items() if 'attribute_scores' not in name}
        metadata = dict(config=repr(config)) | ({} if config_format is None else dict(config_format=config_format))
        save_file(state, tmp_path / 'a.safetensors', metadata=metadata)
        loaded = HyperSegInferencer(tmp_path / 'a.safetensors', device='cpu').model.decode_head.loss_decode
        assert loaded.image_weight == 0.25 and loaded.unlabeled == ()


def test_only_files_without_a_format_get_the_former_defaults(file, tmp_path):
    path, _ = file
    config = config_of(path).to_dict()
    config['model']['decode_head']['text_encoder'].pop('templates', None)
    config['model']['decode_head']['reading'] = config['model']['decode_head'].pop('prompt_smoothing')
    for metadata, templates in ((dict(config_format=CONFIG_FORMAT), 0), ({}, 4)):
        save_file(dict(a=torch.zeros(1)), tmp_path / 'a.safetensors', metadata=dict(config=repr(config), **metadata))
        head = config_of(tmp_path / 'a.safetensors').model.decode_head
        assert len(head.text_encoder.get('templates', ())) == templates
        assert ('prompt_smoothing' in head) == (templates > 0)
    save_file(dict(a=torch.zeros(1)), tmp_path / 'a.safetensors', metadata=dict(config=repr(config), config_format='5'))
    with pytest.raises(ValueError, match="a config of format '5', .* update hyperbolic_seg"):
        config_of(tmp_path / 'a.safetensors')


def test_a_file_brings_all_its_weights(file, config, tmp_path):
    _, inferencer = file
    whole, path = inferencer.model.state_dict(), tmp_path / 'part.safetensors'
    weight = 'decode_head.projection.weight'
    cases = {
        f'it lacks {weight}': {name: value for name, value in whole.items() if name != weight},
        'it lacks decode_head.text.': {n: v for n, v in whole.items() if not n.startswith('decode_head.text.')},
        'it also holds other': whole | dict(other=torch.ones(1)),
        f'do not fit the model: size mismatch for {weight}': whole | {weight: torch.ones(3, 3, 1, 1)},
        'it lacks backbone': dict(other=torch.ones(1)),
        'holds no weights': {},
        'do not fit the model': whole | {'decode_head.text._extra_state': torch.zeros(4, dtype=torch.uint8)},
    }
    for message, state in cases.items():
        write_release(config, state, path=path)
        with pytest.raises(ValueError, match=message.replace('.', r'\.')):
            HyperSegInferencer(path, device='cpu')


def test_what_does_not_fit_together_is_one_kind_of_error(tmp_path):
    whole = config_of(load_release('hyperclip-unet-sky')[1]).to_dict()
    path = tmp_path / 'odd.safetensors'
    for part, option, value in (
        ('backbone', 'decoder_channels', 7),
        ('backbone', 'decoder_channels', (0, 0, 0, 0)),
        ('backbone', 'no_such_option', 1),
        ('backbone', 'encoder', 'vit_base_patch16_224'),
        ('decode_head', 'channels', None),
        ('decode_head', 'in_channels', -1),
        ('decode_head', 'vocabulary', ['a', 'a']),
        ('decode_head', 'vocabulary', []),
        ('decode_head', 'in_index', {}),
        ('decode_head', 'dropout_ratio', 5.0),
        ('decode_head', 'norm_cfg', dict(requires_grad=1)),
        ('data_preprocessor', 'mean', [1]),
        ('data_preprocessor', 'mean', 3),
    ):
        odd = whole | dict(model=whole['model'] | {part: whole['model'][part] | {option: value}})
        save_file(dict(a=torch.zeros(1)), path, metadata=dict(config=repr(odd)))
        with pytest.raises(ValueError, match=r'odd\.safetensors') as error:
            HyperSegInferencer(path, device='cpu')
        assert len(str(error.value)) < 1500


def test_an_unknown_part_of_ones_own_config_is_one_kind_of_error(config):
    for option, value in (('type', 'NoSuchBackbone'), ('type', 'os.no_such'), ('encoder', 'no_such_encoder')):
        own = Config(config.to_dict())
        own.model.backbone[option] = value
        with pytest.raises((ValueError, RuntimeError), match=value):
            HyperSegInferencer(own, device='cpu')
    own = Config(config.to_dict())
    own.test_dataloader = dict(batch_size=1)
    with pytest.raises(ValueError, match='no model can be built from the config: .*dataset'):
        HyperSegInferencer(own, device='cpu')


def test_noise_of_a_large_picture_is_averaged():
    model = load_model('hyperclip-unet-cloud', 'cpu')
    model.set_prompts(['clear sky', 'cloud', 'obstruction'])
    kept = []
    for seed in range(6):
        large = render_sky(seed, 192).image.repeat(8, 0).repeat(8, 1)
        noise = np.random.default_rng(seed).normal(0, 40, large.shape)
        noisy = np.clip(large + noise, 0, 255).astype(np.uint8)
        kept.append((model.predict_one(noisy)['labels'] == model.predict_one(large)['labels']).mean())
    assert np.median(kept) > 0.96
