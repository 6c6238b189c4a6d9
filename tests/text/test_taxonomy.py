import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.text import Concept, Taxonomy, Vocabulary


@pytest.fixture(scope='module')
def sky():
    return Taxonomy.load('sky')


def test_the_sky_is_the_tree_of_the_wmo(sky):
    levels = {
        'high cloud': {'Cirrus', 'Cirrocumulus', 'Cirrostratus', 'Cirrus homogenitus'},
        'middle cloud': {'Altocumulus', 'Altostratus', 'Nimbostratus'},
        'low cloud': {'Stratocumulus', 'Stratus', 'Cumulus', 'Cumulonimbus'},
    }
    for level, names in levels.items():
        assert {node.latin for node in sky.nodes if node.lineage[1:2] == (level,)} == names
    assert sky.root == 'everything'
    assert sky.at_depth(1).names == ('clear sky', 'cloud', 'not sky')
    below = [node.name for node in sky.nodes if node.lineage[1:2] == ('not sky',)]
    assert below == ['sun', 'obstruction', 'outside the lens', 'moon']
    below = [node.name for node in sky.nodes if node.lineage[1:2] == ('obstruction',)]
    assert below == ['building', 'tree', 'terrain', 'structure', 'lens flare', 'drop', 'overlay']
    assert len(sky.leaves) == 22


def test_every_node_has_several_phrases(sky):
    for node in sky.nodes:
        assert node.descriptions
        assert node.name == sky.root or node.synonyms
        # Descriptions are other words, to be tried on what was trained with the name and the synonyms.
        assert not set(node.descriptions) & set(node.phrases)
    genera = [node for node in sky.nodes if node.latin]
    assert all(node.abbreviation for node in genera) and len({node.abbreviation for node in genera}) == 11


def test_genera_and_levels_agree_with_the_table_of_the_wmo(sky, real_data):
    import csv

    with (real_data / 'wmo_hierarchy.csv').open(encoding='utf-8') as file:
        for row in csv.DictReader(file):
            node = next(node for node in sky.nodes if node.latin == row['genus'])
            assert node.abbreviation == row['abbr'] and node.ancestors[0] == f'{row["level"]} cloud'


def test_leaves_divide_the_image(sky):
    cumulus, high = sky.ids(['cumulus', 'high cloud'])
    assert sky.membership.shape == (29, 22)
    assert sky.membership[cumulus].sum() == 1
    names = [leaf.name for leaf, inside in zip(sky.leaves, sky.membership[high], strict=True) if inside]
    assert names == ['cirrus', 'cirrocumulus', 'cirrostratus', 'contrail']
    for depth in range(4):
        cut = sky.at_depth(depth)
        assert sky.membership[sky.ids(cut.names)].sum(0).tolist() == [1] * 22  # every leaf once
    assert sky.at_depth(9) == sky.leaves


def test_distances_are_steps(sky):
    cirrus, contrail, cumulus, cloud, clear = sky.ids(['cirrus', 'contrail', 'cumulus', 'cloud', 'clear sky'])
    steps = [sky.distances[cirrus, other].item() for other in (cirrus, contrail, cumulus, cloud, clear)]
    assert steps == [0, 2, 4, 2, 4]
    assert torch.equal(sky.distances, sky.distances.t())
    assert sky.parent(cirrus) == sky.ids(['high cloud'])[0]
    assert sky.parent(sky.ids(['everything'])[0]) == sky.ids(['everything'])[0]
    assert len(sky.edges) == 28 and all(sky.parent(child) == parent for parent, child in sky.edges)


def test_predictions_stop_where_they_are_no_longer_sure(sky):
    def probabilities(**shares):
        row = torch.zeros(22)
        for name, share in shares.items():
            row[sky.leaves.index_of(name.replace('_', ' '))] = share
        return row

    pixels = torch.stack(
        [
            probabilities(cirrus=0.9, cumulus=0.1),
            probabilities(cirrus=0.5, cirrostratus=0.4, clear_sky=0.1),
            probabilities(cirrus=0.4, cumulus=0.5, clear_sky=0.1),
            probabilities(cirrus=0.4, clear_sky=0.6),
        ]
    )
    named = [sky.nodes[i].name for i in sky.deepest(pixels, 0.8, dim=1)]
    assert named == ['cirrus', 'high cloud', 'cloud', 'everything']
    maps = pixels.t().reshape(1, 22, 2, 2)
    assert sky.deepest(maps, 0.8).flatten().tolist() == sky.deepest(pixels, 0.8).tolist()
    torch.testing.assert_close(
        sky.node_probabilities(maps).sum(1), (pixels @ sky.membership.t().float()).sum(1).view(1, 2, 2)
    )
    with pytest.raises(ValueError, match=r'threshold=0.5: expected more than 0.5'):
        sky.deepest(pixels, 0.5)


@given(st.lists(st.integers(0, 8), min_size=3, max_size=9), st.floats(0.51, 1), st.integers(0, 1000))
def test_the_deepest_node_passes_the_threshold_in_any_tree(parents, threshold, seed):
    names, lineages = ['n0'], {'n0': ()}
    for i, parent in enumerate(parents, 1):
        name, above = f'n{i}', f'n{parent % i}'
        names.append(name)
        lineages[name] = (above, *lineages[above])
    nodes = Vocabulary(Concept(name, ancestors=lineages[name]) for name in names)
    if len({above for lineage in lineages.values() for above in lineage[:1]}) > len(names) - 2:
        with pytest.raises(ValueError, match='at least two leaves'):
            Taxonomy(nodes)
        return
    tree = Taxonomy(nodes)
    shares = torch.softmax(4 * torch.randn(20, len(tree.leaves), generator=torch.Generator().manual_seed(seed)), 1)
    found, of_nodes = tree.deepest(shares, threshold), tree.node_probabilities(shares)
    for i, node in enumerate(found.tolist()):
        assert of_nodes[i, node] >= threshold or node == 0
        children = [child for parent, child in tree.edges if parent == node]
        assert all(of_nodes[i, child] < threshold for child in children)
    for parent, child in tree.edges:
        assert (of_nodes[:, parent] >= of_nodes[:, child] - 1e-6).all()
        assert tree.distances[parent, child] == 1


@pytest.mark.parametrize(
    'content, message',
    [
        ('concepts: [{name: a}, {name: b}]', 'a taxonomy has one root, but these have no parent: a, b'),
        ('concepts: [{name: a}, {name: b, parent: a}]', 'at least two leaves'),
        ('concepts: [{name: a, parent: b}, {name: b, parent: a}]', 'form a cycle'),
        ('concepts: [{name: a, parent: z}]', "has the parent 'z', which is not in the vocabulary"),
        ('concepts: [{name: a}, {name: b, parent: a}, {name: B, parent: a}]', 'stands twice'),
        ('{base: sky, select: [cirrus, cumulus]}', "'cirrus' has the parent 'high cloud', which is not a node"),
    ],
)
def test_files_that_hold_no_tree_are_refused(content, message, tmp_path):
    path = tmp_path / 'tree.yaml'
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        Taxonomy.load(path)
    assert 'tree.yaml' in str(caught.value)


def test_a_file_of_another_domain_is_loaded(tmp_path):
    path = tmp_path / 'street.yaml'
    path.write_text('concepts: [{name: all}, {name: road, parent: all}, {name: car, parent: all}]')
    tree = Taxonomy.load(path)
    assert tree.leaves.names == ('road', 'car')
    assert Taxonomy.load(tree) is tree
    assert repr(tree) == "Taxonomy(3 nodes, 2 leaves, root 'all')"


def test_inner_nodes_are_replaced_by_their_leaves(sky):
    def said(*prompts):
        words, places, *_ = sky.expand(Vocabulary.load(prompts, known=sky.nodes))
        return [(word.name, prompts[place]) for word, place in zip(words, places, strict=True)]

    clouds = [leaf.name for leaf in sky.leaves if 'cloud' in leaf.lineage]
    assert said('clear sky', 'cloud') == [('clear sky', 'clear sky'), *((name, 'cloud') for name in clouds)]
    high = ['cirrocumulus', 'cirrostratus', 'contrail']
    assert said('Cirrus', 'high cloud') == [('Cirrus', 'Cirrus'), *((name, 'high cloud') for name in high)]
    assert said('Blue Sky', 'clouds')[1:] == [(name, 'clouds') for name in clouds]
    # What is no node, or said otherwise, is itself; a leaf named so belongs to no other.
    assert said('a dragon', 'fog; mist') == [('a dragon', 'a dragon'), ('fog', 'fog; mist')]
    assert said('cirrus; feathers', 'high cloud')[1:] == [(name, 'high cloud') for name in high]
    other = 'cloud; something white'
    assert said(other, 'clear sky') == [('cloud', other), ('clear sky', 'clear sky')]
    # A level whose genera are all named by themselves keeps its own word.
    named = ['altocumulus', 'altostratus', 'nimbostratus', 'middle cloud']
    assert said(*named) == [(name, name) for name in named]


def test_unknown_prompts_are_added_below_the_root(sky):
    tree, places = sky.grown(Vocabulary.load(['clouds', 'a red balloon', 'Cu'], known=sky.nodes))
    assert [tree.nodes[place].name for place in places] == ['cloud', 'a red balloon', 'cumulus']
    assert tree.nodes[places[1]].lineage == ('a red balloon', 'everything')
    assert sky.grown(sky.leaves)[0] is sky
    probabilities = torch.tensor([[0.3, 0.1, 0.6], [0.1, 0.7, 0.2], [0.4, 0.4, 0.2]])
    found = tree.deepest(probabilities, 0.6, 1, of=places).tolist()
    assert [tree.nodes[node].name for node in found] == ['cumulus', 'a red balloon', 'cloud']


def test_a_taxonomy_is_checked_without_torch():
    program = (
        'import sys\n'
        'from hyperbolic_seg.text import Taxonomy, Vocabulary\n'
        'tree = Taxonomy(Vocabulary.load("sky"))\n'
        'assert len(tree.leaves) == 22 and len(tree.edges) == 28 and tree.at_depth(1).names\n'
        'assert "torch" not in sys.modules and "numpy" not in sys.modules\n'
    )
    subprocess.run([sys.executable, '-c', program], check=True)
