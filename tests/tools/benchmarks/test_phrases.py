"""The benchmark of phrases: its phrases are new to every model, and its counts are right."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.text import Taxonomy


@pytest.fixture
def phrases(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    for name in ('phrases', 'unknown_words'):
        sys.modules.pop(name, None)
    import phrases

    return phrases


@pytest.fixture(scope='module')
def sky():
    return Taxonomy.load('sky')


def test_sixty_phrases_are_no_words_of_the_training(phrases, sky):
    found = phrases.read_phrases(taxonomy=sky)
    groups = ('everyday', 'pilots', 'sailors', 'photographers')
    assert [sum(phrase.group == group for phrase in found) for group in groups] == [15] * 4
    assert len({phrase.text for phrase in found}) == len(found) == 60
    assert all(sky.nodes.find(phrase.text) is None for phrase in found)
    genera = {node.name for node in sky.nodes if node.latin}
    for half in ('development', 'held-out'):
        assert genera <= {node for phrase in found if phrase.half == half for node in phrase.nodes}


def test_forty_more_phrases_are_others(phrases, sky):
    found = phrases.read_phrases(phrases.PHRASES.with_name('second_phrases.yaml'), taxonomy=sky)
    groups = ('everyday', 'pilots', 'sailors', 'photographers')
    assert [sum(phrase.group == group for phrase in found) for group in groups] == [10] * 4
    first = phrases.read_phrases(taxonomy=sky)
    assert not any(phrases.is_near_copy(phrase.text, other.text) for phrase in found for other in first)
    genera = {node.name for node in sky.nodes if node.latin}
    assert genera <= {node for phrase in found for node in phrase.nodes}


@pytest.mark.parametrize(
    ('phrase', 'other', 'copied'),
    [
        ('Mackerel Skies', 'mackerel sky', False),
        ('mackerel sky', 'mackerel sky of very small puffs', True),
        ('the clouds of a thunderstorm', 'thunderstorm cloud', True),
        ('grey, lumpy quilts', 'lumpy gray quilt', True),
        ('wispy clouds', 'clouds', False),
        ('gray and rainy', 'gray and bumpy all over', False),
    ],
)
def test_near_copies_are_found(phrases, phrase, other, copied):
    assert phrases.is_near_copy(phrase, other) is phrases.is_near_copy(other, phrase) is copied


def test_a_phrase_of_the_training_is_refused(phrases, sky, tmp_path):
    file = tmp_path / 'phrases.yaml'
    file.write_text('sailors: [{phrase: the mackerel sky of small puffs, means: [cirrocumulus]}]')
    with pytest.raises(ValueError, match="is nearly 'mackerel sky of very small puffs'.* reword it"):
        phrases.read_phrases(file, taxonomy=sky)
    file.write_text('sailors: [{phrase: "mackerel scales, furl the sails", means: [cirrocumulus]}]')
    with pytest.raises(ValueError, match="is nearly 'mackerel scales, furl your sails'"):
        phrases.read_phrases(file, taxonomy=sky)
    file.write_text('sailors: [{phrase: bob the sailor, means: [cumulo]}]')
    with pytest.raises(ValueError, match='cumulo'):
        phrases.read_phrases(file, taxonomy=sky)


class OneAnswer:
    """Sees the first prompt in the left half of every picture, and clear sky or cumulus in the right half."""

    def __init__(self, sky):
        self.taxonomy, self.model = sky, SimpleNamespace(feature_cache=None)

    def prepare(self, image):
        return image

    def set_prompts(self, prompts):
        self.prompts = list(prompts)

    def predict_prepared(self, image):
        other = next(name for name in ('clear sky', 'cumulus', 'cirrus') if name in self.prompts[1:])
        labels = np.full(image.shape[:2], self.prompts.index(other))
        labels[:, : image.shape[1] // 2 + 1] = 0
        return {'labels': labels}


def test_counts_are_intersections_unions_and_levels(phrases, sky):
    asked = [phrases.Phrase('heaps', ('cumulus',), 'g', 'h'), phrases.Phrase('roofs', ('low cloud',), 'g', 'h')]
    image, truth = np.zeros((2, 6, 3), np.uint8), np.zeros((2, 6), int)
    truth[:, :2] = sky.ids(['cumulus'])[0]
    truth[0, 5] = sky.ids(['stratus'])[0]
    (counts,) = phrases.measure(OneAnswer(sky), asked, [phrases.Picture(image, truth)], clouds_alone=False)
    # The left 8 pixels of 12 are found, of which 4 are cumulus; a stratus in the right half is missed.
    assert counts[..., :2].tolist() == [[[4, 8], [4, 8]], [[4, 9], [4, 9]]]
    stratus = phrases.Picture(image, np.array(sky.ids(['stratus'])[0]))
    (counts,) = phrases.measure(OneAnswer(sky), asked, [stratus], clouds_alone=True)
    assert counts[:, 0].tolist() == [[0, 1, 0, 0], [1, 1, 1, 1]]  # no image of cumulus; its level is right


def test_counts_at_the_resolution_of_the_head_are_near_those_of_the_picture(phrases, sky):
    model = HyperSegInferencer('hyperclip-unet-cloud', device='cpu')
    model.model.test_cfg.pop('guided')
    model.model.test_cfg.pop('color_likelihood')
    asked = [phrases.Phrase('nothing but blue up there', ('clear sky',), 'g', 'h')]
    asked += [phrases.Phrase('sheep overhead', ('middle cloud', 'low cloud'), 'g', 'h')]
    pictures = list(phrases.rendered(1))
    for clouds_alone in (False, True):
        if clouds_alone:
            pictures = [phrases.Picture(pictures[0].image, np.array(sky.ids(['cumulus'])[0]))]
        fine = phrases.measure(model, asked, pictures, clouds_alone=clouds_alone)
        coarse = phrases.measure_coarsely(model, asked, pictures, clouds_alone=clouds_alone)
        assert fine.shape == coarse.shape
        np.testing.assert_allclose(*(phrases.shares(counts[..., :2]) for counts in (fine, coarse)), atol=0.1)


def test_a_row_has_the_ratio_of_the_means(phrases):
    counts = np.array([[[[1, 2], [2, 2]], [[0, 4], [2, 4]], [[0, 0], [0, 0]]]], float)
    cells = phrases.row('all', {'pixels': counts}, np.ones(3, bool)).split('|')
    # Means 0.25 and 0.75 of the two phrases that have any; the third has no pixels at all.
    assert [cell.strip() for cell in cells[1:5]] == ['all', '3', '0.250', '0.750']
    assert cells[5].strip().startswith('0.33 (')


def test_limits_of_unknown_words_hold_on_the_halves_held_out(phrases):
    import unknown_words

    from hyperbolic_seg.text import Concept, Familiarity, OpenCLIPTextEncoder, Vocabulary

    familiarity = Familiarity(Taxonomy.load('sky').nodes, OpenCLIPTextEncoder())
    sets = unknown_words.read_words()
    assert not set(sets['things, development']) & set(sets['things, held-out'])

    def share(name):
        return np.mean([unknown for _, unknown in familiarity.compare(Vocabulary(map(Concept, sets[name])))])

    assert share('phrases, held-out') <= 0.1 and share('everyday_words') <= 0.1
    assert share('things, held-out') >= 0.8 and share('other languages, held-out') >= 0.9


def test_the_nearest_node_of_plain_words_is_right(phrases, sky, capsys):
    asked = {
        'feathery ice streaks': 'cirrus',
        'thunder and hail tower': 'cumulonimbus',
        'invoice of the dentist': 'sun',
    }
    found = phrases.nearest_nodes(list(asked), sky)
    assert found[:2] == ['cirrus', 'cumulonimbus'] and found[2] != 'sun'
    phrases.print_words([phrases.Phrase(text, (node,), 'g', 'h') for text, node in asked.items()], sky)
    rows = capsys.readouterr().out.splitlines()
    assert rows[2].startswith('| g | 3 | 2 | 0.67 (') and rows[-1].startswith('| invoice of the dentist | sun | ')
