"""What prompts count as, from lists of people's words."""

import pytest

from hyperbolic_seg.sky import known_words
from hyperbolic_seg.sky.camera.kinds import kind_of
from hyperbolic_seg.text import Vocabulary


def kind(word):
    (concept,) = Vocabulary.from_prompts([word], known=known_words())
    return kind_of(concept)


@pytest.mark.parametrize(
    'word',
    [
        'building', 'Buildings', 'tree', 'trees', 'the roof', 'mast', 'mountain', 'horizon', 'antenna',
        'snow on the dome', 'red brick house', 'bushes', 'branches', 'power lines', 'obstruction', 'sun',
        'moon', 'full moon', 'rain drops', 'lens flare', 'aeroplane', 'timestamp', 'overlay', 'structure', 'terrain',
    ],
)  # fmt: skip
def test_what_hides_the_sky_is_left_out(word):
    assert kind(word) == ('not sky', None)


@pytest.mark.parametrize(
    'word', ['night sky', 'starry sky', 'clear night sky', 'sky', 'blue sky', 'clear sky', 'Sky', 'klarer Himmel']
)
def test_clear_sky_by_day_and_night(word):
    assert kind(word) == ('clear sky', None)


@pytest.mark.parametrize(
    'word', ['cloud', 'Cu', 'cumulus', 'cloudy sky', 'overcast', 'high cloud', "mares' tails", 'nuage', '积云']
)
def test_clouds(word):
    assert kind(word) == ('cloud', None)


@pytest.mark.parametrize(
    ('word', 'expected'),
    [
        ('stars', 'clear sky'),
        ('fog', 'cloud'),
        ('haze', 'not sky'),
        ('smoke', 'not sky'),
        ('dust', 'not sky'),
        ('rain', 'not sky'),
        ('halo', 'not sky'),
    ],
)
def test_what_is_neither_is_said_to_count_as_one(word, expected):
    found = kind(word)
    assert found.name == expected and found.note.startswith(f'{word!r} counts as ')


@pytest.mark.parametrize('word', ['nuvola', 'chmura', '雲', 'stormy sky', 'xyz'])
def test_what_is_not_known_is_said_to_be_guessed(word):
    found = kind(word)
    assert found.name == 'cloud' and 'is a guess' in found.note


def test_a_phrase_says_what_an_unknown_word_is():
    assert kind('Kran; obstruction') == ('not sky', None)
    assert kind('azure; clear sky') == ('clear sky', None)
