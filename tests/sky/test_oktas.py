"""Oktas by the convention of the WMO."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.sky.oktas import oktas


def test_oktas_of_an_observer():
    fractions = [0, 0.001, 0.06, 0.07, 0.18, 0.19, 0.49, 0.5, 0.93, 0.94, 0.999, 1]
    assert oktas(fractions).tolist() == [0, 1, 1, 1, 1, 2, 4, 4, 7, 7, 7, 8]


def test_only_a_clear_sky_has_0_and_only_a_covered_sky_8():
    assert oktas(0.0) == 0 and oktas(1 / 10**7) == 1
    assert oktas(1.0) == 8 and oktas(1 - 1 / 10**7) == 7


def test_sums_in_floating_point_do_not_count_as_cloud_or_gap():
    assert oktas(0.1 + 0.2 - 0.3) == 0  # 5.6e-17
    assert oktas(sum([0.1] * 10)) == 8  # 1 - 1.1e-16


@pytest.mark.parametrize(
    'fraction, expected',
    [
        (0, 0),
        (0.009, 0),
        (0.01, 0),
        (0.011, 1),
        (0.18, 1),
        (0.19, 2),
        (0.1875, 2),  # half an eighth rounds up, also to odd numbers
        (0.3125, 3),
        (0.5, 4),
        (0.5625, 5),
        (0.9, 7),
        (0.985, 7),
        (0.995, 8),
        (1, 8),
    ],
)
def test_a_trace_counts_as_nothing_if_asked(fraction, expected):
    assert oktas(fraction, trace=0.01) == expected


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_cloud_has_no_fewer_oktas(one, other):
    less, more = oktas(np.sort([one, other]))
    assert 0 <= less <= more <= 8


@pytest.mark.parametrize('fraction', [1.2, -0.1, np.nan])
def test_shares_out_of_range_are_refused(fraction):
    with pytest.raises(ValueError, match='between 0 and 1'):
        oktas(fraction)
