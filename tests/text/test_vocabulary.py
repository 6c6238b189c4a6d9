import os
import time
import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.text import Concept, Taxonomy, Vocabulary
from hyperbolic_seg.text.vocabulary import MAX_BYTES


def write(path, text):
    path.write_text(text, encoding='utf-8')
    return path


def of_the_sky(prompts):
    return Vocabulary.load(prompts, known=Vocabulary.load('sky'))


def test_prompts_are_not_completed_by_default():
    words = Vocabulary.from_prompts(['building', 'tree', 'mast', 'sun'])
    assert list(words) == [Concept('building'), Concept('tree'), Concept('mast'), Concept('sun')]
    assert Vocabulary.load(['cumulus', 'Cu']).names == ('cumulus', 'Cu')


def test_any_vocabulary_may_complete_prompts():
    organs = Vocabulary([Concept('liver', ('hepar',), ('organ',)), Concept('organ')])
    hepar, kidney = Vocabulary.from_prompts(['Hepar', 'kidney'], known=organs)
    assert hepar == Concept('Hepar', ('liver',), ('organ',)) and kidney == Concept('kidney')


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
    assert of_the_sky(['clear sky', 'cirrus']).nearest(cumulus) is None


def test_prompts_take_what_is_known_of_a_name():
    vocabulary = of_the_sky(['Clear  Sky', 'a dragon; a wyvern', 'mackerel sky'])
    assert vocabulary.names == ('Clear  Sky', 'a dragon', 'mackerel sky')
    assert vocabulary[0].synonyms == Vocabulary.load('sky')[0].synonyms
    assert vocabulary[1].phrases == ('a dragon', 'a wyvern')
    assert vocabulary[2].phrases == ('mackerel sky',)
    assert len({tuple(color) for color in vocabulary.palette}) == 3


@pytest.mark.parametrize('word', ['Cu', 'CUMULUS', 'fair-weather  cloud', 'cumulus'])
def test_any_word_of_a_concept_means_it(word):
    cumulus = Vocabulary.load('sky')[Vocabulary.load('sky').index_of('cumulus')]
    found = of_the_sky([word, 'clear sky'])[0]
    assert found.name == ('cumulus' if word == 'Cu' else word)  # what no encoder is shown is no phrase
    assert {phrase.casefold() for phrase in found.phrases} >= {'cumulus', cumulus.synonyms[0]}
    assert len(found.phrases) == len(cumulus.phrases)
    assert (found.ancestors, found.color, found.latin) == (cumulus.ancestors, cumulus.color, 'Cumulus')


# The genera in the editions of the International Cloud Atlas in Spanish and Chinese, and in German primers.
IN_OTHER_LANGUAGES = {
    'Cirrus': ('cirros', '卷云', 'Federwolken'),
    'Cirrocumulus': ('cirrocúmulos', '卷积云', 'feine Schäfchenwolken'),
    'Cirrostratus': ('cirroestratos', '卷层云', 'Schleierwolken'),
    'Altocumulus': ('altocúmulos', '高积云', 'grobe Schäfchenwolken'),
    'Altostratus': ('altoestratos', '高层云', 'mittelhohe Schichtwolken'),
    'Nimbostratus': ('nimboestratos', '雨层云', 'Regenwolken'),
    'Stratocumulus': ('estratocúmulos', '层积云', 'Haufenschichtwolken'),
    'Stratus': ('estratos', '层云', 'tiefe Schichtwolken'),
    'Cumulus': ('cúmulos', '积云', 'Haufenwolken'),
    'Cumulonimbus': ('cumulonimbos', '积雨云', 'Gewitterwolken'),
}


@pytest.mark.parametrize(('latin', 'words'), IN_OTHER_LANGUAGES.items())
def test_a_genus_is_known_in_other_languages(latin, words):
    sky = Vocabulary.load('sky')
    for word in words:
        for spelled in (word, word.upper(), unicodedata.normalize('NFD', word)):
            assert sky[sky.find(spelled)].latin == latin
        found = of_the_sky([word, 'the rest'])[0]
        assert found.name == word and found.ancestors == sky[sky.find(latin)].ancestors
        # The text encoder reads English: it sees what it sees for the name.
        assert found.phrases == sky[sky.find(latin)].phrases


def test_no_name_in_another_language_means_two_concepts():
    sky = Vocabulary.load('sky')
    for index, concept in enumerate(sky):
        assert all(sky.find(name) == index for _, name in concept.names), concept.name
    twins = Vocabulary([Concept('cat', names=(('xx', 'pom'),)), Concept('dog', names=(('xy', 'pom'),))])
    assert twins.find('pom') is None
    own_words_first = Vocabulary([Concept('pom'), Concept('dog', names=(('xy', 'pom'),))])
    assert own_words_first.find('pom') == 0
    with pytest.raises(ValueError, match="'Wolke' and 'nuage' name the same concept, 'cloud'"):
        of_the_sky(['Wolke', 'nuage'])


def test_ambiguous_words_and_abbreviations_are_not_found():
    sky = Vocabulary.load('sky')
    assert sky.find('cirrus homogenitus') == sky.index_of('contrail')
    assert sky.find('cu') is None  # the word, not the abbreviation
    twins = Vocabulary([Concept('cat', ('pet',)), Concept('dog', ('pet',))])
    assert twins.find('pet') is None
    with pytest.raises(ValueError, match="'cumulus' and 'Cu' name the same concept, 'cumulus': keep one"):
        of_the_sky(['cumulus', 'Cu', 'clear sky'])


@given(st.lists(st.text('abcdefgh', min_size=1, max_size=5), min_size=1, max_size=20, unique=True))
def test_prompts_keep_their_order_and_get_distinct_colors(prompts):
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


def test_a_file_of_the_user_defines_a_vocabulary(tmp_path):
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
        ('concepts: [{name: a, wordings: a thing}]', "wordings of 'a' must be a list of strings"),
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
    with pytest.raises(FileNotFoundError, match='Built in: .*binary, .*genera, .*leaves, .*sky'):
        Vocabulary.load('nebulae')


BASES = [
    '../own',
    '/etc/passwd',
    './own',
    '.own',
    'a/b',
    '..',
    '',
    'a:b',
    'https://example.org/a',
    '5',
    '[own]',
    'x' * 200,
]


@pytest.mark.parametrize('base', [*BASES, 'own\\\\b', 'own\\0'])
def test_a_base_lies_beside_its_selection(tmp_path, base):
    write(tmp_path / 'own.yaml', 'concepts: [{name: stone}]')
    (tmp_path / 'below').mkdir()
    value = base if base in ('5', '[own]') else f'"{base}"'
    path = write(tmp_path / 'below' / 'bad.yaml', f'base: {value}\nselect: [stone]')
    with pytest.raises(ValueError, match=r'bad\.yaml is not a valid vocabulary: base .*: expected the name') as error:
        Vocabulary.load(path)
    assert len(str(error.value)) < 1000


def test_a_missing_base_is_named(tmp_path):
    path = write(tmp_path / 'bad.yaml', 'base: nebulae\nselect: [stone]')
    with pytest.raises(ValueError, match=r'bad\.yaml .* no file nebulae.yaml beside it, and none of .*binary'):
        Vocabulary.load(path)


def test_circular_and_deep_bases_are_refused(tmp_path):
    for name, base in (('a', 'b'), ('b', 'c'), ('c', 'b'), ('own', 'own'), ('sky', 'sky')):
        write(tmp_path / f'{name}.yaml', f'base: {base}\nselect: [stone]')
    with pytest.raises(ValueError, match=r'a\.yaml .*it is its own base: b\.yaml, c\.yaml, b\.yaml'):
        Vocabulary.load(tmp_path / 'a.yaml')
    with pytest.raises(ValueError, match=r'its own base: own\.yaml, own\.yaml'):
        Taxonomy.load(tmp_path / 'own.yaml')
    for number in range(500):
        write(tmp_path / f'n{number}.yaml', f'base: n{number + 1}\nselect: [stone]')
    with pytest.raises(ValueError, match='it is the base of 16 others'):
        Vocabulary.load(tmp_path / 'n0.yaml')


BOMB = '\n'.join(
    ['a0: &a0 [x, x, x, x, x, x, x, x, x]', *(f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]' for i in range(1, 12))]
)
MERGES = '\n'.join(
    ['a0: &a0 {x: 1}', *(f'a{i}: &a{i} {{<<: [{", ".join([f"*a{i - 1}"] * 9)}]}}' for i in range(1, 12))]
)


@pytest.mark.parametrize(
    'content, message',
    [
        (BOMB, 'the reference .a0: write out'),
        (MERGES, 'the reference .a0: write out'),
        (BOMB + '\nconcepts: *a11', 'the reference .a0'),
        ('concepts: &a [*a]', 'the reference .a'),
        ('[' * 100_000, 'more than 32 levels'),
        ('- ' * 100_000, 'more than 32 levels'),
        ('{a: ' * 5000 + '}' * 5000, 'more than 32 levels'),
        ('concepts: [{name: ' + 'x' * 20_000 + '}]', 'a text of 20000 characters'),
        ('concepts: ' + '9' * 9000, 'is no YAML'),
        ('concepts: ' + '9' * 4000, 'expected the key'),
        ('concepts: [' + 'x, ' * 5000 + ']', 'every concept is a mapping'),
        ('concepts: [{name: a, ' + ', '.join(f'k{i}: 1' for i in range(5000)) + '}]', 'unknown keys'),
        ('concepts: [{name: a, synonyms: {' + ', '.join(f'k{i}: 1' for i in range(5000)) + '}}]', 'list of strings'),
        (', '.join(f'k{i}: 1' for i in range(2000)).join('{}'), 'expected the key'),
        (
            'concepts:\n' + '\n'.join(f'- {{name: n{i}, parent: n{i + 1}}}' for i in range(2000)),
            'more than 64 ancestors',
        ),
        ('concepts: [{name: a, latin: 5}]', 'the latin of .a. must be a text'),
        ('concepts: [{name: a, names: [b]}]', 'the names of .a. must be a mapping from languages'),
        ('concepts: [{name: a, names: {no: [b]}}]', 'in quotes where YAML reads no text'),
        ('concepts: [{name: a, names: {de: b}}]', 'the names of .a. in de must be a list of strings'),
        ('concepts: [{name: a, abbreviation: [a]}]', 'the abbreviation of .a. must be a text'),
        ('concepts: [{name: a, parent: null}]', 'the parent of .a. must be a text'),
        ('concepts: [{name: a, color: [true, 0, 0]}]', 'from 0 to 255'),
        ('{base: sky, select: cumulus}', 'select must be a list of strings'),
        ('{base: sky, select: [[cumulus]]}', 'select must be a list of strings'),
        ('{base: sky, select: [' + 'x' * 9000 + ']}', 'is not in the vocabulary'),
        ('!!python/object/apply:os.mkdir [sprung]', 'is no YAML'),
        ('!!python/name:os.system', 'is no YAML'),
        ('concepts: [{name: "a\\e[31m", parent: "\\e[2J"}]', 'has the parent'),
        ('concepts: \0', 'is no YAML'),
        ('concepts: 2001-99-99', 'is no YAML'),
        ('%YAML 9.9\n---\na', 'is no YAML'),
        ('--- a\n--- b', 'is no YAML'),
        (b'concepts: [{name: \xff\xfe}]', 'is no YAML'),
        (b'concepts: \xed\xa0\x80', 'is no YAML'),
        (b'#' * (MAX_BYTES + 1), 'more than 1048576 bytes'),
        (b'', 'expected a mapping'),
        ('concepts: []\nconcepts: [{name: a}]', "'concepts' a second time in line 2"),
        ('concepts: [{name: a, latin: b, name: c}]', "'name' a second time in line 1"),
        ('concepts: [{name: a}]\n"\e[31m": 1\n"\e[31m": 2', 'a second time in line 3'),
    ],
    ids=range(39),
)
def test_files_of_strangers_are_refused_at_once(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'bad.yaml'
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    start = time.perf_counter()
    with pytest.raises(ValueError, match=message) as caught:
        Vocabulary.load(path)
    assert time.perf_counter() - start < 20
    assert 'bad.yaml' in str(caught.value) and len(str(caught.value)) < 2000
    assert '\x1b' not in str(caught.value) and not (tmp_path / 'sprung').exists()


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no FIFOs here')
def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / 'pipe.yaml')
    for path, kind in ((tmp_path / 'pipe.yaml', 'a FIFO'), (tmp_path, 'a folder')):
        with pytest.raises(ValueError, match=f'is {kind}: expected a regular file'):
            Vocabulary.load(path)


WORDS = st.sampled_from(['concepts', 'base', 'select', 'name', 'parent', 'synonyms', 'color', 'latin', 'sky', 'cloud'])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
ANYTHING = st.recursive(VALUES, lambda part: st.lists(part) | st.dictionaries(WORDS | st.text(max_size=3), part))


@given(ANYTHING | st.fixed_dictionaries(dict(concepts=st.lists(st.dictionaries(WORDS, ANYTHING)))))
def test_any_content_is_taken_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp('vocabulary') / 'any.yaml'
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    try:
        Vocabulary.load(path).find('cloud')
    except ValueError as error:
        assert str(path) in str(error) and len(str(error)) < 2000


def test_prompts_in_an_error_are_shortened():
    with pytest.raises(ValueError, match='an empty prompt') as caught:
        Vocabulary.from_prompts([*(f'word {i}' for i in range(1000)), ''])
    assert len(str(caught.value)) < 1000
    with pytest.raises(TypeError, match='must be a list of strings') as raised:
        Vocabulary.from_prompts([['x' * 100] * 1000] * 1000)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize('value', ['!!int ""', '!!float "_"', '!!bool q', '!!timestamp z', '!!binary "?"', '!!set x'])
def test_values_that_the_yaml_library_cannot_build_are_one_error(tmp_path, value):
    path = tmp_path / 'words.yaml'
    path.write_text(f'concepts:\n  - name: {value}\n')
    with pytest.raises(ValueError, match=r'words\.yaml'):
        Vocabulary.load(path)


def test_a_selection_may_give_other_synonyms(tmp_path):
    file = write(tmp_path / 'own.yaml', 'base: sky\nselect: [sun, cloud]\nsynonyms: {Sun: [sol, star of the day]}')
    own, sky = Vocabulary.load(file), Vocabulary.load('sky')
    assert own[0].phrases == ('sun', 'sol', 'star of the day') and own[0].color == sky[sky.index_of('sun')].color
    assert own[1] == sky[1]
    for bad, message in (
        ('{moon: [luna]}', "'moon' is not in"),
        ('[sun]', 'must map names'),
        ('{sun: sol}', 'a list of'),
    ):
        write(file, f'base: sky\nselect: [sun, cloud]\nsynonyms: {bad}')
        with pytest.raises(ValueError, match=f'own.yaml.*{message}'):
            Vocabulary.load(file)
