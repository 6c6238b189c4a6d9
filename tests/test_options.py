import math

import numpy as np
import pytest

from hyperbolic_seg.options import check_number, check_options, check_size, check_whole


@pytest.mark.parametrize('value', [1, 0.5, np.float32(0.5), np.int64(1)])
def test_numbers_within_bounds_pass(value):
    check_number('share', value, above=0, least=0.5, most=1)


@pytest.mark.parametrize(
    'value, kind', [(True, TypeError), ('1', TypeError), (None, TypeError), (0, ValueError), (2, ValueError),
                    (math.nan, ValueError), (math.inf, ValueError)],
)  # fmt: skip
def test_the_message_says_what_was_given_and_what_was_expected(value, kind):
    with pytest.raises(kind, match=f'share={value!r}: expected a.* number above 0, at most 1'):
        check_number('share', value, above=0, most=1)


def test_sizes_are_two_whole_numbers():
    check_size('crop', [3, np.int64(4)])
    for value in (3, '34', (3,), (3.0, 4)):
        with pytest.raises(TypeError, match='crop='):
            check_size('crop', value)
    with pytest.raises(ValueError, match='crop=0: expected at least 1'):
        check_size('crop', (3, 0))


def test_whole_numbers_pass_and_others_are_refused():
    check_whole('count', np.int64(3))
    check_whole('seed', 0, least=0)
    with pytest.raises(TypeError, match='count=2.0: expected a whole number of at least 1'):
        check_whole('count', 2.0)
    with pytest.raises(ValueError, match='count=0: expected at least 1'):
        check_whole('count', 0)


def test_options_are_those_of_the_function_that_gets_them():
    def function(image, *, radius=8, eps=1e-4):
        pass

    check_options('guided', None, function)
    check_options('guided', dict(eps=1), function)
    with pytest.raises(TypeError, match=r"guided={'raduis': 2}: expected some of the options radius, eps"):
        check_options('guided', dict(raduis=2), function)
    with pytest.raises(TypeError, match='options eps$'):
        check_options('guided', dict(radius=2), function, without=['radius'])
    with pytest.raises(TypeError, match='guided=3: expected'):
        check_options('guided', 3, function)
