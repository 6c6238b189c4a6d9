"""Prompts of adjectives and nouns, and the leaves and values of attributes that they mean."""

import math

import pytest

from hyperbolic_seg.text import Concept, Taxonomy, Term, Vocabulary

SKY = Taxonomy.load('sky')


def meaning(prompt):
    found = SKY.nodes.meaning_of(prompt)
    return None if found is None else (SKY.nodes[found[0]].name, found[1].members, found[1].values)


@pytest.mark.parametrize(
    'prompt, expected',
    [
        ('thin cirrus', ('cirrus', (), ('thin',))),
        ('Thick dark clouds', ('cloud', (), ('thick', 'opaque', 'dark'))),
        ('thick, very dark cumulus', ('cumulus', (), ('thick', 'opaque', 'dark'))),
        ('see-through Ci', None),  # words in lower case are no abbreviations
        ('opaque thick cloud', ('cloud', (), ('opaque',))),
        ('patterned clouds', ('cloud', ('cirrocumulus', 'altocumulus', 'stratocumulus'), ())),
        ('thin patterned high cloud', ('high cloud', ('cirrocumulus',), ('thin',))),
        ('veil', ('cloud', ('cirrus', 'cirrostratus', 'altostratus'), ('thin',))),
        ('thick veil', None),  # a contradiction
        ('patterned cumulus', None),
        ('thin building', None),  # said of something that is not a cloud
        ('thin', None),
        ('rain cloud', ('cloud', ('nimbostratus', 'cumulonimbus'), ())),
        ('dark rain clouds', ('cloud', ('nimbostratus', 'cumulonimbus'), ('dark',))),
        ('fair-weather clouds', ('cumulus', (), ())),
        ('a red balloon', None),
        ('cloud', ('cloud', (), ())),
    ],
)
def test_prompts_mean_leaves_and_values(prompt, expected):
    assert meaning(prompt) == expected


def test_a_prompt_keeps_its_spelling_and_its_place():
    concept = Vocabulary.from_prompts(['Thin Cirrus'], known=SKY.nodes)[0]
    assert concept.name == 'Thin Cirrus' and concept.phrases[0] == 'cirrus'
    assert concept.lineage == ('Thin Cirrus', 'cirrus', 'high cloud', 'cloud', 'everything')


def owned(*prompts):
    words, owners, values, shares = SKY.expand(Vocabulary.from_prompts(prompts, known=SKY.nodes))
    found = {prompt: set() for prompt in prompts}
    for word, owner, some, share in zip(words, owners, values, shares, strict=True):
        found[prompts[owner]].add((word.prompt or word.name, some, share))
    return found


def below(leaf, concept):
    node = SKY.nodes[SKY.nodes.nearest(concept)]
    return node.name in SKY.nodes[SKY.nodes.index_of(leaf)].lineage


CLOUDS = [leaf.name for leaf in SKY.leaves if 'cloud' in leaf.lineage]


def test_sky_is_all_of_it_beside_no_cloud_and_the_rest_beside_some():
    everywhere = {(name, (), 1.0) for name in ('clear sky', *CLOUDS)}
    assert owned('sky', 'building')['sky'] == everywhere
    assert owned('sky', 'cloud')['sky'] == {('clear sky', (), 1.0)}
    assert owned('sky', 'cirrus')['sky'] == everywhere - {('cirrus', (), 1.0)}


def test_leaves_are_divided_by_values_that_are_named():
    found = owned('clear sky', 'thin cloud', 'cloud')
    assert found['clear sky'] == {('clear sky', (), 1.0)}
    assert found['thin cloud'] == {(name, ('thin',), 1.0) for name in CLOUDS}
    assert found['cloud'] == {(name, ('thick', 'opaque'), 1.0) for name in CLOUDS}


def test_the_most_specific_concept_gets_a_cell():
    found = owned('cirrus', 'thin cloud')
    assert found['cirrus'] == {('cirrus', (), 1.0)}
    assert ('cirrus', ('thin',), 1.0) not in found['thin cloud']


@pytest.mark.parametrize(
    'prompts',
    [
        ('clear sky', 'thin cloud', 'thick cloud'),
        ('sky', 'white cloud', 'thin cloud', 'patterned cloud'),
        ('cirrus', 'dark cirrus', 'thin dark clouds', 'cloud', 'sky'),
        ('veil clouds', 'patterned clouds', 'thick dark clouds', 'thick white clouds', 'sky'),
        ('rain cloud', 'heaped cloud', 'dark cloud', 'clear sky'),
    ],
)
def test_concepts_share_every_cell_that_one_of_them_means_exactly_once(prompts):
    concepts = Vocabulary.from_prompts(prompts, known=SKY.nodes)
    words, _, values, shares = SKY.expand(concepts)
    attributes = list(SKY.nodes.attributes.values())
    total = dict.fromkeys(((leaf, t, b) for leaf in CLOUDS for t in attributes[0] for b in attributes[1]), 0.0)
    for word, some, share in zip(words, values, shares, strict=True):
        for leaf, *cell in total:
            asked = [set(some).intersection(v) or set(v) for v in attributes]
            if leaf == (word.prompt or word.name) and all(v in a for v, a in zip(cell, asked, strict=True)):
                total[(leaf, *cell)] += share
    meant = [c for c in concepts if 'cloud' in c.lineage or c.members]
    for (leaf, *cell), share in total.items():
        someone = any(
            (leaf in c.members or (not c.members and below(leaf, c)))
            and all(v in c.values or not set(a).intersection(c.values) for v, a in zip(cell, attributes, strict=True))
            for c in meant
        )
        assert math.isclose(share, float(someone), abs_tol=1e-9), (leaf, cell)


def test_equal_claims_are_shared():
    found = owned('rain cloud', 'heaped cloud')
    assert found['rain cloud'] == {('nimbostratus', (), 1.0), ('cumulonimbus', (), 0.5)}
    assert found['heaped cloud'] == {('cumulus', (), 1.0), ('cumulonimbus', (), 0.5)}


def test_two_prompts_of_one_meaning_are_refused():
    with pytest.raises(ValueError, match="'thin cloud' and 'see-through clouds' name the same concept"):
        Vocabulary.from_prompts(['thin cloud', 'see-through clouds'], known=SKY.nodes)


def test_a_model_without_attributes_takes_adjectives_of_values_as_typed():
    known = SKY.nodes.without_attributes()
    thin, patterned = Vocabulary.from_prompts(['thin cloud', 'patterned cloud'], known=known)
    assert thin == Concept('thin cloud') and patterned.members


def test_composed_concepts_are_added_below_what_they_are_of():
    tree, places = SKY.grown(Vocabulary.from_prompts(['thin cirrus', 'a red balloon'], known=SKY.nodes))
    assert [tree.nodes[place].ancestors[0] for place in places] == ['cirrus', 'everything']


STREET = 'concepts: [{name: all}, {name: road, parent: all}, {name: car, parent: all}]\n'


@pytest.mark.parametrize(
    'more, message',
    [
        ('terms: [{adjectives: [wet]}]', 'every term is a mapping with "counts_as"'),
        ('terms: [{counts_as: road, adjectives: wet}]', 'adjectives of a term must be a list of strings'),
        ('terms: [{counts_as: road, color: red}]', r"unknown keys \['color'\]"),
        ('terms: [{counts_as: sea, nouns: [wave], members: [road]}]', "'sea' is not in the vocabulary"),
        ('terms: [{counts_as: road, adjectives: [wet], values: [wet]}]', r"the values \['wet'\]"),
        ('terms: [{counts_as: road, adjectives: [wet]}]', 'says nothing'),
        ('attributes: {surface: [wet]}', 'at least two values'),
        ('attributes: {surface: [wet, dry], weather: [wet, fair]}', 'no value twice'),
        ('attributes: [wet, dry]', 'must map names to lists of values'),
        (
            'terms: [{counts_as: road, nouns: [way], members: [road]}, {counts_as: car, nouns: [Way], members: [car]}]',
            "'way' is among the nouns of two terms",
        ),
    ],
)
def test_files_with_wrong_terms_are_refused(tmp_path, more, message):
    path = tmp_path / 'street.yaml'
    path.write_text(STREET + more)
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_yaml(path)


def test_attributes_and_terms_come_with_a_base_of_which_nothing_is_left_out(tmp_path):
    (tmp_path / 'street.yaml').write_text(
        STREET + 'attributes: {surface: [wet, dry]}\nterms: [{counts_as: road, adjectives: [rainy], values: [wet]}]'
    )
    (tmp_path / 'all.yaml').write_text('base: street\nsynonyms: {car: [auto]}')
    (tmp_path / 'some.yaml').write_text('base: street\nselect: [road, car]')
    whole, some = (Vocabulary.from_yaml(tmp_path / f'{name}.yaml') for name in ('all', 'some'))
    assert whole.terms == (Term('road', adjectives=('rainy',), values=('wet',)),)
    assert whole.attributes == {'surface': ('wet', 'dry')} and not some.attributes and not some.terms
