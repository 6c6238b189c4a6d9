"""Words of a later edition of a taxonomy, for models of an earlier one."""

import pytest

from hyperbolic_seg.text import Concept, Taxonomy, Vocabulary, in_edition, with_later_words

EARLIER = Taxonomy(
    Vocabulary(
        [
            Concept('all'),
            Concept('road', ancestors=('all',)),
            Concept('vehicle', ('lorry', 'train'), ('all',)),
        ]
    )
)
LATER = Vocabulary(
    [
        Concept('all'),
        Concept('road', ('street',), ('all',)),
        Concept('vehicle', ancestors=('all',)),
        Concept('truck', ('lorry', 'van'), ('vehicle', 'all')),
        Concept('car', ('automobile',), ('vehicle', 'all')),
        Concept('tree', ('oak',), ('all',)),
    ]
)
KNOWN = with_later_words(EARLIER, LATER)


def meanings(*prompts):
    return in_edition(Vocabulary.load(prompts, known=KNOWN), EARLIER, LATER)


def test_words_of_the_earlier_edition_keep_their_meaning():
    assert KNOWN.names == ('all', 'road', 'vehicle', 'truck', 'car')
    assert KNOWN[KNOWN.find('lorry')].name == 'vehicle' and KNOWN[KNOWN.find('van')].name == 'truck'
    words = Vocabulary.load(['road', 'lorry', 'a dragon', 'oak'], known=KNOWN)
    assert in_edition(words, EARLIER, LATER) == words


def test_what_lies_below_a_leaf_counts_as_the_leaf_and_a_warning_says_so():
    with pytest.warns(UserWarning, match="does not tell 'automobile' from any other 'vehicle'"):
        assert meanings('road', 'automobile')[1] == EARLIER.nodes[2]


def test_two_prompts_of_one_leaf_are_refused():
    with pytest.raises(ValueError, match="'car', 'van' are all 'vehicle' to this model"):
        meanings('car', 'van', 'road')
    with pytest.raises(ValueError, match="'car', 'vehicle' are all 'vehicle' to this model"):
        meanings('car', 'vehicle', 'road')


def test_a_vocabulary_of_the_later_edition_is_read_in_the_earlier_one():
    assert in_edition(LATER.subset(['road', 'vehicle']), EARLIER, LATER) == EARLIER.nodes.subset(['road', 'vehicle'])


def test_kinds_of_a_leaf_that_no_edition_has_stay_prompts_of_their_own():
    own = Vocabulary([Concept('racing car', ancestors=('vehicle', 'all')), Concept('road', ancestors=('all',))])
    assert in_edition(own, EARLIER, LATER)[0] == own[0]


def test_a_later_edition_that_adds_nothing_is_refused():
    with pytest.raises(ValueError, match='no word of known_words lies below a leaf of the taxonomy'):
        with_later_words(Taxonomy(LATER), LATER)


def test_the_first_edition_of_the_sky_divides_nothing_below_obstruction():
    first, sky = Taxonomy.load('sky_v1'), Taxonomy.load('sky')
    assert sky.nodes.names[: len(first.nodes)] == first.nodes.names, 'ids in label files are the same'
    assert first.leaves == Vocabulary.load('leaves_v1') and len(first.leaves) == 15
    below = with_later_words(first, sky.nodes).names[len(first.nodes) :]
    assert below == ('building', 'tree', 'terrain', 'structure', 'lens flare', 'drop', 'overlay')


def test_no_phrase_of_the_sky_is_of_two_nodes():
    sky = Vocabulary.load('sky')
    assert all(sky.find(phrase) == place for place, node in enumerate(sky) for phrase in node.phrases)
    assert len({node.color for node in sky}) == len(sky)
