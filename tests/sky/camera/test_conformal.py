"""Split conformal prediction on days: its guarantee, by simulation of days that are exchangeable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.sky.camera import Ends, day_weights, least_days, quantile_over_days

shares = st.floats(0, 1)


def simulated_coverage(*, days, confidence, trials, seed, many=False):
    """Return how often a picture of a new day has a score of at most the quantile; pictures of a day are alike."""
    random, held = np.random.default_rng(seed), 0
    for _ in range(trials):
        sizes = random.integers(1, 40 if many else 3, days + 1)
        own = [random.normal(level, 0.1, size) for level, size in zip(random.gumbel(size=days + 1), sizes, strict=True)]
        named = np.repeat(np.arange(days), sizes[:-1])
        held += own[-1][0] <= quantile_over_days(np.concatenate(own[:-1]), named.tolist(), confidence)
    return held / trials


@pytest.mark.parametrize('many', [False, True])
@pytest.mark.parametrize(('days', 'confidence'), [(9, 0.9), (19, 0.9), (4, 0.8), (30, 0.8)])
def test_a_new_day_is_held_as_often_as_promised_and_hardly_more(days, confidence, many):
    trials = 1500
    found = simulated_coverage(days=days, confidence=confidence, trials=trials, seed=days, many=many)
    error = 4 * np.sqrt(confidence * (1 - confidence) / trials)
    assert confidence - error <= found <= confidence + 1 / (days + 1) + error


def test_counting_pictures_as_if_they_were_independent_does_not_hold_what_it_promises():
    random, trials, held = np.random.default_rng(0), 1500, 0
    for _ in range(trials):
        levels = random.gumbel(size=5)
        own = np.concatenate([random.normal(level, 0.01, 30) for level in levels[:-1]])
        held += levels[-1] <= quantile_over_days(own, list(range(len(own))), 0.9)
    assert held / trials < 0.86, 'four days cannot promise 90 %'


@pytest.mark.parametrize(('confidence', 'days'), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_too_few_days_are_refused_with_the_number_needed(confidence, days):
    assert least_days(confidence) == days == next(n for n in range(200) if np.ceil((n + 1) * confidence - 1e-9) <= n)
    assert quantile_over_days(list(range(days)), list(range(days)), confidence) == days - 1
    with pytest.raises(ValueError, match=f'needs at least {days}'):
        quantile_over_days(list(range(days - 1)), list(range(days - 1)), confidence)


def test_with_a_picture_a_day_it_is_the_usual_quantile():
    scores = np.random.default_rng(0).random(40)
    expected = np.sort(scores)[int(np.ceil(41 * 0.9)) - 1]
    assert quantile_over_days(scores, list(range(40)), 0.9) == expected


def test_what_is_no_score_is_refused():
    for scores, days in ([1.0], []), ([np.nan] * 9, range(9)):
        with pytest.raises(ValueError, match='expected a finite score and a day of each picture'):
            quantile_over_days(scores, list(days), 0.9)
    with pytest.raises(ValueError, match='confidence 1.0: expected between 0 and 1'):
        least_days(1.0)


def test_every_day_weighs_the_same():
    assert day_weights(['a', 'a', 'b', 'a']).tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 2, 1 / 6])


@given(fraction=shares, low=shares, high=shares, truth=shares, factor=st.floats(0, 5))
def test_a_stretched_interval_holds_what_has_no_larger_score(fraction, low, high, truth, factor):
    ends = Ends(fraction, min(low, fraction), max(high, fraction))
    found, score = ends.stretched(factor), ends.score(truth)
    assert 0 <= found.low <= fraction <= found.high <= 1
    if abs(score - factor) > 1e-6:
        assert (found.low <= truth <= found.high) == (score < factor)


def test_the_doubt_of_the_model_makes_the_interval():
    clear, unsure = Ends(0.0, 0.0, 0.02).stretched(1.5), Ends(0.5, 0.2, 0.9).stretched(1.5)
    assert clear.high - clear.low < 0.1 < unsure.high - unsure.low
    assert unsure.high - 0.5 > 0.5 - unsure.low, 'on the side where the model is in doubt'
