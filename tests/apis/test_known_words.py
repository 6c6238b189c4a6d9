"""Words that a promptable file knows, against those of the head."""

import json
import math

import pytest

from hyperbolic_seg.apis.known_words import KnownWords
from hyperbolic_seg.text import Concept, Taxonomy, Vocabulary, kinds, normalize_phrases

TREE = Taxonomy.load('sky')


def words(**options):
    nodes = TREE.nodes
    return KnownWords(TREE.leaves, [normalize_phrases(node.phrases) for node in nodes], taxonomy=TREE, **options)


def rows_of(*names):
    return [TREE.nodes.index_of(name) for name in names]


def test_an_inner_node_is_all_its_leaves_and_other_prompts_are_themselves():
    choice = words().choose(['clear sky', 'cloud'])
    leaves = [leaf for leaf in TREE.leaves if 'cloud' in leaf.lineage]
    assert choice.rows == rows_of('clear sky', *(leaf.name for leaf in leaves))
    assert choice.concept_of_word == [0, *[1] * len(leaves)]
    assert choice.kinds == kinds(choice.vocabulary, TREE.root) == [0, 1]


def test_a_node_without_leaves_of_its_own_is_compared_as_itself():
    leaves = [leaf.name for leaf in TREE.leaves if 'high cloud' in leaf.lineage]
    choice = words().choose(['high cloud', *leaves])
    assert choice.rows == rows_of('high cloud', *leaves)


@pytest.mark.parametrize('prompt', ['Cu', 'Cumulus', 'CUMULUS'])
def test_prompts_are_completed(prompt):
    choice = words().choose(['clear sky', prompt])
    assert choice.rows == rows_of('clear sky', 'cumulus')
    assert 'low cloud' in choice.vocabulary[1].lineage


def test_none_stands_for_the_vocabulary_of_the_training():
    choice = words().choose(None)
    assert choice.vocabulary == TREE.leaves
    assert choice.rows == rows_of(*TREE.leaves.names)


@pytest.mark.parametrize('prompt', ['thin icy streaks', 'cumulus; cotton'])
def test_other_words_are_refused_by_name(prompt):
    name = prompt.partition(';')[0]
    with pytest.raises(ValueError, match=f"'{name}' cannot be asked of this file.*--runtime torch"):
        words().choose(['clear sky', prompt])


def test_one_prompt_is_too_few():
    with pytest.raises(ValueError, match='two'):
        words().choose(['cloud'])


def test_without_a_taxonomy_every_word_is_by_itself():
    trained = Vocabulary([Concept('road'), Concept('car', ('automobile',)), Concept('tree')])
    known = KnownWords(trained, [normalize_phrases(one.phrases) for one in trained], later=trained)
    choice = known.choose(['automobile', 'tree'])
    assert (choice.rows, choice.concept_of_word, choice.kinds) == ([1, 2], [0, 1], [0, 1])


def test_words_are_the_same_after_a_file():
    known = words()
    other = KnownWords.from_json(known.to_json())
    for prompts in (None, ['clear sky', 'cloud'], ['Ci', 'Cu', 'sun']):
        assert other.choose(prompts) == known.choose(prompts)


@pytest.mark.parametrize(
    'change',
    [
        dict(trained=None),
        dict(rows=3),
        dict(taxonomy=[dict(name='a')]),
        dict(trained=[dict(name='a', unknown=1)]),
        dict(trained='abc'),
    ],
    ids=str,
)
def test_damage_is_refused(change):
    content = json.loads(words().to_json()) | change
    with pytest.raises(ValueError, match='its words cannot be read'):
        KnownWords.from_json(json.dumps(content))
    with pytest.raises(ValueError, match='its words cannot be read'):
        KnownWords.from_json('{')


def test_attributes_are_asked_of_files_that_tell_them():
    told, untold = words(attributes=True), words()
    told = KnownWords.from_json(told.to_json())
    assert told.attributes == TREE.nodes.attributes and not untold.attributes
    choice = told.choose(['thin cirrus', 'cirrus', 'rain cloud', 'heaped cloud'])
    thin, thick, *rest = choice.asked
    assert thin == [0, 1, 0, 0, 1, 1] and thick == [0, 0, 1, 1, 1, 1]
    assert sorted(row[0] for row in rest) == pytest.approx([math.log(0.5), math.log(0.5), 0, 0])
    with pytest.raises(ValueError, match="'thin cirrus' cannot be asked of this file"):
        untold.choose(['thin cirrus', 'clear sky'])
    assert untold.choose(['clear sky', 'cloud']).asked[0] == [0]
