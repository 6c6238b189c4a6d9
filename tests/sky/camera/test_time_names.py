"""Times in the names of files and folders."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.sky.camera.time_names import TimePattern

UTC, CET = timezone.utc, timezone(timedelta(hours=1))
YEAR = datetime.now(UTC).year
times = st.datetimes(datetime(1970, 1, 1), datetime(YEAR + 1, 12, 31))


@given(times, st.text('ab_-', max_size=4))
def test_times_are_read_from_file_names_of_any_pattern(time, other):
    for pattern in ('%Y%m%d_%H%M%S', '%Y-%j-%H%M%S', '%y%m%d%H%M%S', '%d%b%Y %H.%M.%S'):
        name = f'{other}{time.strftime(pattern)}{other}.jpg'
        assert TimePattern(pattern).time(name, UTC) == time.replace(microsecond=0, tzinfo=UTC)
    for offset in ('+0100', '+01:00', '+01-00'):
        name = f'{other}{time:%Y%m%dT%H%M%S.%f}{offset}.png'
        assert TimePattern('%Y%m%dT%H%M%S.%f%z').time(name, UTC) == time.replace(tzinfo=CET)


@pytest.mark.parametrize(
    ('pattern', 'name', 'expected'),
    [
        ('%Y%m%d', '99999999_20240229.jpg', datetime(2024, 2, 29)),  # the first valid one
        ('%Y%m%d', '20230229.jpg', None),
        ('%Y%m%d', '120240229.jpg', None),  # part of a longer number
        ('%Y%m%d', '202402291.jpg', None),
        ('cam%Y%m%d', '7cam20240229.jpg', datetime(2024, 2, 29)),
        ('%Y%m%d', '19690229_18500101.jpg', None),
        ('%Y%m%d', f'{YEAR + 2}0101.jpg', None),
        ('%Y-%j', '2023-366.jpg', None),
        ('%Y%m%d-%j', '20240301-061.jpg', datetime(2024, 3, 1)),
        ('%Y%m%d-%j', '20240301-060.jpg', None),
        ('%d-%b-%Y', '01-MAR-2024.jpg', datetime(2024, 3, 1)),
        ('%Y%m%d_%H%M%S_%f', '20240301_120000_25.jpg', datetime(2024, 3, 1, 12, 0, 0, 250000)),
        ('%Y%m%d_%H%M%S_%f', '20240301_120000_123456789.jpg', datetime(2024, 3, 1, 12, 0, 0, 123456)),
        ('%Y/%m/%d/%H%M%S', 'archive/2024/03/01/120000.jpg', datetime(2024, 3, 1, 12)),
        ('%Y/%m/%d/%H%M%S', '03/01/120000.jpg', None),
        ('%Y%m%d/img_%H%M', '/data/20240301/img_1200.jpg', datetime(2024, 3, 1, 12)),
        ('%s', 'frame1709294400.jpg', datetime(2024, 3, 1, 12)),
        ('%s', 'frame_1709294400250.jpg', datetime(2024, 3, 1, 12, 0, 0, 250000)),
        ('%s', '1709294400000007.jpg', datetime(2024, 3, 1, 12, 0, 0, 7)),
        ('%s', '1709294400000007999.jpg', datetime(2024, 3, 1, 12, 0, 0, 7)),
        ('%s', '17092944000.jpg', None),
    ],
)
def test_what_a_pattern_finds(pattern, name, expected):
    found = TimePattern(pattern).time(name, UTC)
    assert found == (None if expected is None else expected.replace(tzinfo=UTC))


def test_a_unix_time_needs_no_zone():
    assert TimePattern('%s').time('1709294400.jpg', CET) == datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ('pattern', 'message'),
    [
        ('%Y %B', 'has %B: expected %Y'),
        ('%Y%m%d%Y', 'has a code twice'),
        ('%H%M%S', 'names no day'),
        ('%m%d', 'names no day'),
        ('%s%f', 'names no day'),
        ('', 'names no day'),
    ],
)
def test_patterns_that_are_no_time_are_refused(pattern, message):
    with pytest.raises(ValueError, match=message):
        TimePattern(pattern)
