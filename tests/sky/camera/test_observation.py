"""What an observer would report."""

import numpy as np
import pytest

from hyperbolic_seg.sky import known_words
from hyperbolic_seg.sky.camera.moon import Moon
from hyperbolic_seg.sky.camera.observation import as_record, observe
from hyperbolic_seg.sky.camera.sky_camera import View
from hyperbolic_seg.text import Vocabulary

EVEN = View(np.ones((1, 4)), None, None)


def prompts(words):
    return Vocabulary.from_prompts(words, known=known_words())


def test_pixels_that_are_no_sky_do_not_count():
    words = prompts(['clear sky', 'cumulus', 'thin streaks', 'obstruction'])
    probabilities = np.array([[[1, 0, 0, 0]], [[0, 1, 0.5, 0]], [[0, 0, 0.5, 0]], [[0, 0, 0, 1]]], np.float32)
    found = observe(probabilities, words, EVEN)
    assert list(found.classes) == ['clear sky', 'cumulus', 'thin streaks']
    assert found.classes['clear sky'].fraction == pytest.approx(1 / 3)
    assert found.classes['cumulus'].fraction == pytest.approx(1 / 2)
    assert found.cloud.fraction == pytest.approx(2 / 3) and found.cloud.oktas == 5, 'all that is not clear sky'
    record = as_record(found, EVEN)
    assert record['cloud']['low'] <= record['cloud']['fraction'] and record['time'] is record['sun'] is None
    assert record['moon'] is None
    moonlit = as_record(found, EVEN._replace(moon=Moon(12.0, 200.0, 0.5)))
    assert moonlit['moon'] == dict(elevation=12.0, azimuth=200.0, illumination=0.5)


def test_a_pixel_that_may_be_no_sky_counts_by_that_much():
    words = prompts(['clear sky', 'cloud', 'sun'])
    probabilities = np.array([[[0.2, 0, 0, 0]], [[0, 1, 1, 1]], [[0.8, 0, 0, 0]]], np.float32)
    assert observe(probabilities, words, EVEN).cloud.fraction == pytest.approx(3 / 3.2)


def test_without_clear_sky_there_is_no_sum():
    found = observe(np.full((2, 1, 4), 0.5, np.float32), prompts(['cumulus', 'cirrus']), EVEN)
    assert found.cloud is None and as_record(found, EVEN)['cloud'] is None
    with pytest.raises(ValueError, match='none of sun, obstruction is in the sky'):
        observe(np.full((2, 1, 4), 0.5), prompts(['sun', 'obstruction']), EVEN)


@pytest.mark.parametrize(
    'words',
    [
        ['clear sky', 'cloud', 'obstruction'],
        ['Clear sky', 'clouds', 'Obstruction'],
        ['blue sky', 'white cloud; cloud', 'mast; obstruction'],
        ['azure; clear sky', 'cloud', 'ground'],
        ['clear sky', 'cloud', 'Not sky'],
        ['clear night sky', 'cloud', 'red brick buildings'],
        ['sky', 'overcast', 'the mast'],
    ],
)
def test_words_count_by_what_they_mean(words):
    probabilities = np.array([0.2, 0.3, 0.5], np.float32)[:, None, None].repeat(4, 2)
    found = observe(probabilities, prompts(words), EVEN)
    assert found.cloud.fraction == 1 and found.cloud.low == 0, '0.6 of the sky that is seen, which is more than half'
    assert [each.fraction for each in found.classes.values()] == [0, 1]


def test_clouds_share_what_is_cloud():
    """The covers by clouds sum to that by all cloud, though none of them has half of a pixel."""
    probabilities = np.array([[0.9, 0.2, 0.2, 0.2], [0.06, 0.4, 0.2, 0.6], [0.04, 0.4, 0.6, 0.2]])[:, None]
    found = observe(probabilities, prompts(['clear sky', 'cumulus', 'cirrus']), EVEN)
    clear, *clouds = (each.fraction for each in found.classes.values())
    assert (clear, found.cloud.fraction) == (0.25, 0.75)
    assert clouds == pytest.approx([(0.5 + 0.25 + 0.75) / 4, (0.5 + 0.75 + 0.25) / 4])
    alone = observe(probabilities[1:], prompts(['cumulus', 'cirrus']), EVEN)
    assert alone.cloud is None and sum(each.fraction for each in alone.classes.values()) == pytest.approx(1)


def test_probabilities_of_another_size_than_the_view_are_refused():
    with pytest.raises(ValueError, match=r'probabilities of \(2, 8\) pixels for a view of \(1, 4\): expected one size'):
        observe(np.full((2, 2, 8), 0.5), prompts(['clear sky', 'cloud']), EVEN)


def test_an_unknown_word_counts_as_cloud_and_is_named():
    found = observe(np.array([[0.4] * 4, [0.6] * 4])[:, None], prompts(['clear sky', 'nuvola']), EVEN)
    assert found.cloud.fraction == 1
    (note,) = as_record(found, EVEN)['notes']
    assert note.startswith("'nuvola' is no word that is known here, in English, so that it counts as cloud is a guess")


def test_prompts_that_nothing_has_completed_count_by_what_they_mean_too():
    plain = Vocabulary.from_prompts(['azure; clear sky', 'Cu', 'mast; obstruction'])
    probabilities = np.array([0.2, 0.3, 0.5], np.float32)[:, None, None].repeat(4, 2)
    found = observe(probabilities, plain, EVEN)
    assert found.cloud.fraction == 1 and list(found.classes) == ['azure', 'Cu']
