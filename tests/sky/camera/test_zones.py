"""Time zones, and local times in them."""

from datetime import datetime, timedelta, timezone

import pytest

from hyperbolic_seg.sky.camera.zones import in_zone, zone_of


def test_zones_are_offsets_or_names_and_others_are_refused():
    assert zone_of('+01:30').utcoffset(None) == timedelta(hours=1, minutes=30)
    assert zone_of('-0800').utcoffset(None) == timedelta(hours=-8)
    winter = datetime(2024, 1, 1, tzinfo=zone_of('Europe/Oslo'))
    assert winter.utcoffset() == timedelta(hours=1) and zone_of('utc') is timezone.utc
    for name in ('Middle-earth/Shire', '../../etc/passwd', '+99:00', '+01:75', ''):
        with pytest.raises(ValueError, match='no time zone'):
            zone_of(name)


def test_a_time_that_clocks_skip_in_spring_is_refused():
    oslo = zone_of('Europe/Oslo')
    assert in_zone(datetime(2024, 3, 31, 1, 59), oslo).utcoffset() == timedelta(hours=1)
    assert in_zone(datetime(2024, 3, 31, 3, 0), oslo).utcoffset() == timedelta(hours=2)
    assert in_zone(datetime(2024, 10, 27, 2, 30), oslo).utcoffset() == timedelta(hours=2)  # the first of two
    with pytest.raises(ValueError, match='2024-03-31 02:30:00 does not exist in Europe/Oslo'):
        in_zone(datetime(2024, 3, 31, 2, 30), oslo)
