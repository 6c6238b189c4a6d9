"""Time zones, and local times in them."""

from datetime import datetime, timedelta, timezone

import pytest

from hyperbolic_seg.sky.camera.zones import in_order, in_zone, zone_of


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


def test_the_hour_that_comes_twice_is_told_apart_by_order():
    """Berlin put its clocks back on 25 October 2026 at 03:00, which was 01:00 UTC."""
    zone, last, found = zone_of('Europe/Berlin'), None, []
    for hour, minute in ((1, 45), (2, 15), (2, 45), (2, 0), (2, 30), (2, 59), (3, 5)):
        last = in_order(in_zone(datetime(2026, 10, 25, hour, minute), zone), last)
        found.append(last.astimezone(timezone.utc).strftime('%H:%M'))
    assert found == ['23:45', '00:15', '00:45', '01:00', '01:30', '01:59', '02:05']
    assert in_order(in_zone(datetime(2026, 10, 25, 2, 30), zone), None).fold == 0, 'nothing is known'
    much_later = datetime(2026, 10, 26, tzinfo=timezone.utc)
    assert in_order(in_zone(datetime(2026, 10, 25, 2, 30), zone), much_later).fold == 0, 'the pictures have no order'
