"""Phrases outside a taxonomy are assigned to its concepts by regression on their phrases and wordings."""

import numpy as np
import pytest
import torch

from hyperbolic_seg.text import (
    Concept,
    OpenCLIPTextEncoder,
    PhraseReader,
    Taxonomy,
    Vocabulary,
    normalize_phrase,
    plain_embeddings,
)
from hyperbolic_seg.text.text_bank import TextBank
from tests.tiny_clip import save_model

FARM = [Concept('a barn', ('a red shed',), wordings=('where hay is kept', 'two of a kind')), Concept('a dog')]
FARM += [Concept('a fence', wordings=('two of a kind',))]


@pytest.fixture
def encoder(tmp_path):
    folder = save_model(tmp_path / 'clip')
    return OpenCLIPTextEncoder(f'local-dir:{folder}', cache_dir=str(tmp_path / 'cache'))


@pytest.mark.parametrize(('width', 'ridge'), [(0.5, 0.2), (0.1, 1.0)])
def test_scores_are_those_of_kernel_ridge_regression(encoder, width, ridge):
    known = ['a barn', 'a red shed', 'where hay is kept', 'two of a kind', 'a dog', 'a fence']
    targets = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0.5, 0, 0.5], [0, 1, 0], [0, 0, 1]])
    x, t = (encoder.encode(texts).double().numpy() for texts in (known, ['a puppy', 'hay']))
    kernel = np.exp((x @ x.T - 1) / width) + ridge * np.eye(len(x))
    expected = np.exp((t @ x.T - 1) / width) @ np.linalg.inv(kernel) @ targets
    scores = PhraseReader(Vocabulary(FARM), encoder, width=width, ridge=ridge).scores(
        [Concept('a puppy'), Concept('hay')]
    )
    torch.testing.assert_close(scores, torch.from_numpy(expected).float(), rtol=1e-4, atol=1e-5)


def test_a_phrase_is_read_as_its_concept_and_a_shared_one_as_both(encoder):
    reader = PhraseReader(Vocabulary(FARM), encoder, ridge=1e-6)
    scores = reader.scores([*map(Concept, ('a dog', 'where hay is kept', 'two of a kind'))])
    torch.testing.assert_close(scores, torch.tensor([[0, 1, 0], [1, 0, 0], [0.5, 0, 0.5]]), rtol=0, atol=1e-3)


def test_phrases_of_a_concept_are_averaged_without_templates(encoder):
    one, other = encoder.encode(['a dog', 'a wolf'])
    expected = (one + other) / (one + other).norm()
    torch.testing.assert_close(plain_embeddings([Concept('a dog', ('a wolf',))], encoder)[0], expected)


def test_wordings_move_other_prompts_and_leave_those_of_the_taxonomy(encoder):
    plain = [Concept(concept.name, concept.synonyms) for concept in FARM]
    asked = ['a dog', 'a barn; a red shed', 'a stable']
    banks = [
        TextBank(encoder, asked, embed_dims=32, taxonomy_bank=Vocabulary(known), prompt_smoothing={})
        for known in (plain, FARM, [*FARM[:2], Concept('a fence', wordings=('a stable',))])
    ]
    without, with_wordings, with_its_own = (bank() for bank in banks)
    torch.testing.assert_close(without[:2], with_wordings[:2], rtol=0, atol=0)
    torch.testing.assert_close(without[:2], with_its_own[:2], rtol=0, atol=0)
    assert not torch.equal(without[2], with_wordings[2])
    fence = banks[2].taxonomy_bank()[2]
    assert with_its_own[2] @ fence > without[2] @ fence
    assert banks[0].taxonomy_bank.state_dict().keys() == banks[1].taxonomy_bank.state_dict().keys()
    states = [bank.taxonomy_bank.get_extra_state() for bank in banks[:2]]
    assert torch.equal(*states)  # a checkpoint holds phrases alone


@pytest.fixture(scope='module')
def sky():
    return Taxonomy.load('sky')


def test_wordings_of_the_sky_are_no_phrases_and_mean_one_node(sky):
    phrases = {normalize_phrase(phrase) for node in sky.nodes for phrase in node.phrases}
    wordings = [normalize_phrase(wording) for node in sky.nodes for wording in node.wordings]
    assert len(set(wordings)) == len(wordings) > 800 and not phrases & set(wordings)
    assert all(len(node.wordings) >= 10 for node in sky.nodes if node.latin or node.name == 'clear sky')
    earlier = Taxonomy.load('sky_v1').nodes
    assert earlier[earlier.index_of('cirrus')].wordings == sky.nodes[sky.nodes.index_of('cirrus')].wordings


@pytest.mark.parametrize(
    ('name', 'node'),
    [
        ('SCHÄFCHENWOLKEN', 'altocumulus'),
        ('scha\u0308fchenwolke', 'altocumulus'),
        ('Sternenhimmel', 'clear sky'),
        ('ciel couvert', 'cloud'),
        ("TRAÎNÉES D'AVION", 'contrail'),
        ('nubes de tormenta', 'cumulonimbus'),
    ],
)
def test_names_in_other_languages_are_found_in_any_case(sky, name, node):
    assert sky.nodes[sky.nodes.find(name)].name == node
