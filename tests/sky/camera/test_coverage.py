"""Cover of the sky, against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.sky.camera.coverage import cover


def test_pixels_count_by_their_weights():
    probabilities = np.array([[1.0, 0.0], [1.0, 0.5]])
    found = cover(probabilities, np.array([[3.0, 1.0], [0.0, 0.0]]))
    assert found == (0.75, 0.75, 0.75, 6)
    assert cover(probabilities, np.ones((2, 2))).fraction == 0.5, 'of two equal chances, the cloud has none'
    assert cover(probabilities, np.ones((2, 2)), shares=probabilities).fraction == pytest.approx(0.625)


def test_a_doubtful_clear_sky_is_clear():
    """Of a camera that the model has not seen; the interval says that it may be otherwise."""
    found = cover(np.full((4, 4), 0.17), np.ones((4, 4)))
    assert (found.fraction, found.low, found.high, found.oktas) == (0, 0, 1, 0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.05, 0.99))
def test_the_fraction_lies_in_its_interval_which_grows_with_confidence(values, confidence):
    probabilities = np.array([values])
    weights = np.linspace(1, 2, len(values))[None]
    found, wider = (cover(probabilities, weights, confidence=c) for c in (confidence, (1 + confidence) / 2))
    assert wider.low <= found.low <= found.fraction <= found.high <= wider.high


def test_the_interval_holds_when_all_pixels_err_together():
    """One number decides for all pixels, the worst case: 90 of 100 truths lie in an interval of 90 percent."""
    random = np.random.default_rng(0)
    probabilities = random.uniform(0, 1, (1, 4000))
    found = cover(probabilities, np.ones_like(probabilities), confidence=0.9)
    truths = [(probabilities > u).mean() for u in random.uniform(0, 1, 4000)]
    inside = np.mean([found.low <= truth <= found.high for truth in truths])
    assert inside == pytest.approx(0.9, abs=0.02)
    independent = [(random.uniform(size=4000) < probabilities).mean() for _ in range(200)]
    assert all(found.low <= truth <= found.high for truth in independent)


@pytest.mark.parametrize('cloudy, expected', [(0, 0), (9, 0), (11, 1), (500, 4), (985, 7), (995, 8)])
def test_a_trace_is_no_cloud_and_no_gap(cloudy, expected):
    """A speck of dirt is no cloud, so a clear sky with one has not one okta."""
    probabilities = (np.arange(1000) < cloudy)[None].astype(float)
    assert cover(probabilities, np.ones((1, 1000))).oktas == expected


def test_impossible_weights_and_confidences_are_refused():
    with pytest.raises(ValueError, match='differ in shape'):
        cover(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match='no pixel counts'):
        cover(np.ones((2, 2)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match='between 0 and 1'):
        cover(np.ones((2, 2)), np.ones((2, 2)), confidence=1)
