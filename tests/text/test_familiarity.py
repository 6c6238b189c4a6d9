"""Words that are far from all that is known are told from those that are near."""

import pytest

from hyperbolic_seg.text import Concept, Familiarity, OpenCLIPTextEncoder, Taxonomy, Vocabulary


@pytest.fixture(scope='module')
def familiarity():
    return Familiarity(Taxonomy.load('sky').nodes, OpenCLIPTextEncoder())


def strangers(familiarity, *prompts):
    return {stranger.name: stranger for stranger in familiarity.strangers(Vocabulary.from_prompts(prompts))}


def test_words_of_other_things_and_languages_are_strangers(familiarity):
    unknown = ['teapot', 'violin', 'invoice', 'elephant', 'nuvola', 'облака', 'sandwich']
    known = ['wispy clouds', 'gray and rainy', 'fluffy white clouds', 'fog', 'rain', 'full moon', 'roofs and trees']
    assert set(strangers(familiarity, *unknown, *known)) == set(unknown)


def test_a_stranger_has_its_nearest_concepts(familiarity):
    note = strangers(familiarity, 'violin', 'cumulus')['violin'].note
    assert note.startswith("'violin' is not known here; nearest known: ") and 'is a guess' in note
    near = strangers(familiarity, 'mackerel scales', 'cumulus')['mackerel scales']
    assert near.nearest[:2] == ('cirrocumulus', 'altocumulus') and 0 < near.similarity < familiarity.least
    # The root is near to everything, and says nothing.
    assert 'everything' not in familiarity.compared.names and len(familiarity.compared) == len(familiarity.known) - 1


@pytest.mark.parametrize('prompt', ['violin; cirrus', 'Ci', 'Cirrus', 'cirrus', 'Federwolken', '卷云', 'everything'])
def test_a_word_of_a_concept_makes_a_prompt_known(familiarity, prompt):
    assert not strangers(familiarity, prompt)


def test_a_wording_is_no_stranger(familiarity):
    assert set(strangers(familiarity, 'cavok', 'OVC', 'teapot')) == {'teapot'}


def test_no_word_is_encoded_if_all_are_known(monkeypatch):
    monkeypatch.setattr('hyperbolic_seg.text.minilm.PACKAGE', 'a_package_that_is_missing')
    known = Familiarity(Taxonomy.load('sky').nodes, OpenCLIPTextEncoder())
    assert not known.strangers(Vocabulary.from_prompts(['clear sky', 'Wolke']))
    with pytest.raises(ImportError, match='pip install'):
        known.strangers(Vocabulary.from_prompts(['clear sky', 'a nyckelharpa that no cache holds']))


def test_nothing_is_said_of_a_tower_without_measured_limits():
    known = Familiarity(Taxonomy.load('sky').nodes, OpenCLIPTextEncoder('ViT-B-32', 'openai'))
    assert not known.measured and not known.strangers(Vocabulary.from_prompts(['violin', 'invoice']))


def test_any_vocabulary_can_be_the_known_one():
    known = Familiarity(Vocabulary([Concept('dog'), Concept('car', ('automobile',))]), OpenCLIPTextEncoder())
    assert known.compared == known.known
    assert set(strangers(known, 'puppy', 'lorry', 'cirrocumulus')) == {'cirrocumulus'}
