import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.text import Concept, Vocabulary


def write(path, text):
    path.write_text(text, encoding='utf-8')
    return path


def test_the_ids_of_the_sky_start_with_those_of_binary_masks():
    sky = Vocabulary.load('sky')
    assert sky.names[:2] == Vocabulary.load('binary').names == ('clear sky', 'cloud')
    assert [sky.index_of(name) for name in ('cirrus', 'cumulonimbus', 'contrail', 'obstruction')] == [5, 14, 15, 18]


def test_every_genus_stands_below_its_level_and_below_cloud():
    sky = Vocabulary.load('sky')
    levels = {concept.ancestors for concept in sky if concept.abbreviation}
    assert levels == {(f'{level} cloud', 'cloud', 'everything') for level in ('high', 'middle', 'low')}
    assert len([concept for concept in sky if concept.abbreviation and concept.name != 'contrail']) == 10


def test_a_subset_keeps_the_lineage():
    genera = Vocabulary.load('genera')
    assert len(genera) == 12
    cumulus = genera[genera.index_of('Cumulus')]
    assert cumulus.lineage == ('cumulus', 'low cloud', 'cloud', 'everything')
    assert Vocabulary.load('binary').nearest(cumulus) == 1
    assert Vocabulary.load(['clear sky', 'cirrus']).nearest(cumulus) is None


def test_prompts_take_what_is_known_of_a_name():
    vocabulary = Vocabulary.load(['Clear  Sky', 'a dragon; a wyvern', 'mackerel sky'])
    assert vocabulary.names == ('Clear  Sky', 'a dragon', 'mackerel sky')
    assert vocabulary[0].synonyms == Vocabulary.load('sky')[0].synonyms
    assert vocabulary[1].phrases == ('a dragon', 'a wyvern')
    assert vocabulary[2].phrases == ('mackerel sky',)
    assert len({tuple(color) for color in vocabulary.palette}) == 3


@pytest.mark.parametrize('word', ['Cu', 'CUMULUS', 'fair-weather  cloud', 'cumulus'])
def test_any_word_of_a_concept_means_it(word):
    cumulus = Vocabulary.load('sky')[Vocabulary.load('sky').index_of('cumulus')]
    found = Vocabulary.load([word, 'clear sky'])[0]
    assert found.name == ('cumulus' if word == 'Cu' else word)  # what no encoder is shown is no phrase
    assert {phrase.casefold() for phrase in found.phrases} >= {'cumulus', cumulus.synonyms[0]}
    assert len(found.phrases) == len(cumulus.phrases)
    assert (found.ancestors, found.color, found.latin) == (cumulus.ancestors, cumulus.color, 'Cumulus')


def test_words_that_mean_nothing_known():
    sky = Vocabulary.load('sky')
    assert sky.find('cirrus homogenitus') == sky.index_of('contrail')
    assert sky.find('cu') is None  # the word, not the abbreviation
    twins = Vocabulary([Concept('cat', ('pet',)), Concept('dog', ('pet',))])
    assert twins.find('pet') is None
    with pytest.raises(ValueError, match="'cumulus' and 'Cu' are words for the same, 'cumulus': keep one"):
        Vocabulary.load(['cumulus', 'Cu', 'clear sky'])


@given(st.lists(st.text('abcdefgh', min_size=1, max_size=5), min_size=1, max_size=20, unique=True))
def test_prompts_keep_their_order_and_get_distinct_colours(prompts):
    vocabulary = Vocabulary.from_prompts(prompts)
    assert list(vocabulary.names) == prompts
    assert len({tuple(color) for color in vocabulary.palette}) == len(prompts)
    assert all(vocabulary.index_of(name.upper()) == i for i, name in enumerate(prompts))


@pytest.mark.parametrize(
    'prompts, error, message',
    [
        ('clear sky', FileNotFoundError, 'For a list of prompts pass a list'),
        ([], ValueError, 'at least one concept'),
        (['cloud', 'CLOUD'], ValueError, 'stands twice'),
        (['cloud', ' '], ValueError, 'empty prompt'),
        (['cloud', 3], TypeError, 'must be a list of strings'),
    ],
)
def test_bad_prompts_are_refused(prompts, error, message):
    with pytest.raises(error, match=message):
        Vocabulary.load(prompts)


def test_a_users_own_file(tmp_path):
    own = write(
        tmp_path / 'own.yaml',
        'concepts:\n- {name: thing, color: [1, 2, 3]}\n- {name: stone, parent: thing, synonyms: [rock]}\n',
    )
    vocabulary = Vocabulary.load(own)
    assert vocabulary[1] == Concept('stone', ('rock',), ('thing',))
    assert vocabulary.palette[0] == [1, 2, 3]
    part = write(tmp_path / 'part.yaml', 'base: own\nselect: [stone]\n')
    assert Vocabulary.load(part)[0].ancestors == ('thing',)
    with pytest.raises(ValueError, match='which holds: thing, stone'):
        vocabulary.index_of('water')


@pytest.mark.parametrize(
    'text, message',
    [
        ('[', 'not a valid vocabulary'),
        ('just words', 'expected a mapping'),
        ('concepts: 3', 'the key "concepts" with a list'),
        ('names: []', 'expected the key "concepts"'),
        ('concepts: []', 'at least one concept'),
        ('concepts: [cloud]', 'every concept is a mapping'),
        ('concepts: [{name: a, colour: [0, 0, 0]}]', "unknown keys .'colour'"),
        ('concepts: [{name: a, color: [0, 0, 256]}]', 'from 0 to 255'),
        ('concepts: [{name: a, synonyms: b}]', 'must be a list of strings'),
        ('concepts: [{name: a, parent: b}]', "'a' has the parent 'b', which is not in"),
        ('concepts: [{name: a, parent: b}, {name: b, parent: a}]', 'cycle'),
        ('concepts: [{name: a}, {name: A}]', 'stands twice'),
        ('{base: sky, select: [hail]}', "'hail' is not in the vocabulary"),
    ],
)
def test_invalid_files_are_refused_by_name(tmp_path, text, message):
    path = write(tmp_path / 'bad.yaml', text)
    with pytest.raises(ValueError, match=message) as caught:
        Vocabulary.load(path)
    assert 'bad.yaml' in str(caught.value)


def test_an_unknown_name_lists_the_built_in_ones():
    with pytest.raises(FileNotFoundError, match='Built in: .*binary, .*genera, leaves, .*sky'):
        Vocabulary.load('nebulae')
