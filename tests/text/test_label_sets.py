"""Labels that leave open which of several concepts they are."""

import pytest

from hyperbolic_seg.text import Concept, Taxonomy, Vocabulary

STREET = [
    Concept('all'),
    Concept('vehicle', ancestors=('all',)),
    Concept('car', ancestors=('vehicle', 'all')),
    Concept('road', ancestors=('all',)),
]


def test_ids_count_down_so_that_new_concepts_move_none():
    sets = [['car', 'ROAD'], ['vehicle', 'road']]
    words = Vocabulary(STREET, sets=sets)
    assert [(each.id, each.name) for each in words.label_sets] == [(126, 'car or road'), (125, 'vehicle or road')]
    more = Vocabulary([*STREET, Concept('tree', ancestors=('all',))], sets=sets)
    assert more.label_sets == words.label_sets
    assert Taxonomy(words).labels == {0: (0,), 1: (1,), 2: (2,), 3: (3,), 126: (2, 3), 125: (1, 3)}


def test_a_set_holds_what_is_below_its_members():
    words = Vocabulary(STREET, sets=[['vehicle', 'road']])
    (label_set,) = words.label_sets
    assert [label_set.holds(concept) for concept in words] == [False, True, True, True]
    assert [label_set.overlaps(concept, words) for concept in words] == [True] * 4


@pytest.mark.parametrize(
    ('sets', 'message'),
    [
        ([['car']], 'expected at least two concepts'),
        ([['car', 'Car']], 'expected at least two concepts, each once'),
        ([['car', 'tree']], "'tree' is not in the vocabulary"),
        ([['road', 'car', 'vehicle']], "'car' lies below another member"),
        ([['road', 'car'], ['car', 'road']], "'car or road' is there twice"),
    ],
)
def test_other_sets_are_refused(sets, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(STREET, sets=sets)


def test_ids_of_concepts_and_sets_do_not_meet():
    many = [Concept(f'concept {number}') for number in range(126)]
    assert Vocabulary(many, sets=[['concept 0', 'concept 1']]).label_sets[0].id == 126
    with pytest.raises(ValueError, match='127 concepts and 2 label sets: expected at most 127 together'):
        Vocabulary([*many, Concept('more')], sets=[['more', 'concept 1'], ['concept 0', 'concept 1']])


def test_a_file_adds_sets_to_a_vocabulary(tmp_path):
    file = tmp_path / 'own.yaml'
    file.write_text('base: sky\nsets: [[high cloud, middle cloud], [tree, building]]')
    own, sky = Vocabulary.load(file), Vocabulary.load('sky')
    assert own == sky and [each.name for each in own.label_sets] == ['high cloud or middle cloud', 'tree or building']
    assert [each.name for each in sky.label_sets] == ['clear sky or cloud', 'clear sky or cloud or sun or moon']
    file.write_text('base: sky\nselect: [cloud, sun]')
    assert not Vocabulary.load(file).label_sets, 'a selection has those that it names'
    for bad in ('sets: [cloud, sun]', 'sets: cloud', 'sets: [[cloud, dragon]]'):
        file.write_text(f'base: sky\n{bad}')
        with pytest.raises(ValueError, match='own.yaml is not a valid vocabulary'):
            Vocabulary.load(file)
