"""Times and places of images."""

import os
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, TiffImagePlugin

from hyperbolic_seg.sky.camera.sun import Place
from hyperbolic_seg.sky.camera.when import exif_of, time_in_name, zone_of

UTC = timezone.utc


def photograph(path, time='2024:07:17 11:30:00', offset='+02:00', gps=None):
    exif = Image.Exif()
    own = exif.get_ifd(ExifTags.IFD.Exif)
    if time is not None:
        own[ExifTags.Base.DateTimeOriginal] = time
    if offset is not None:
        own[ExifTags.Base.OffsetTimeOriginal] = offset
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(path, exif=exif)
    return path


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp'])
def test_exif_says_when_whatever_the_kind_of_file(tmp_path, suffix):
    own = {ExifTags.Base.DateTimeOriginal: '2024:07:17 11:30:00', ExifTags.Base.OffsetTimeOriginal: '+02:00'}
    image, path = Image.fromarray(np.full((8, 8, 3), 90, np.uint8)), tmp_path / f'a.{suffix}'
    if suffix == 'tif':
        info = TiffImagePlugin.ImageFileDirectory_v2()
        info[ExifTags.IFD.Exif] = own
        image.save(path, tiffinfo=info)
    else:
        exif = Image.Exif()
        exif[ExifTags.IFD.Exif] = own
        image.save(path, exif=exif)
    assert exif_of(path)[0] == datetime(2024, 7, 17, 9, 30, tzinfo=UTC)


def test_exif_says_when_and_where(tmp_path):
    tags = ExifTags.GPS
    gps = {
        tags.GPSLatitudeRef: 'S',
        tags.GPSLatitude: (33.0, 30.0, 36.0),
        tags.GPSLongitudeRef: 'E',
        tags.GPSLongitude: (18.0, 15.0, 0.0),
        tags.GPSAltitude: 120.5,
    }
    time, place = exif_of(photograph(tmp_path / 'a.jpg', gps=gps))
    assert time == datetime(2024, 7, 17, 9, 30, tzinfo=UTC) and time.utcoffset() == timedelta(hours=2)
    assert place == pytest.approx(Place(-33.51, 18.25, 120.5))


@pytest.mark.parametrize('time', ['0000:00:00 00:00:00', 'yesterday', '2024:13:01 00:00:00', None])
def test_times_that_exif_lacks_are_none(tmp_path, time):
    assert exif_of(photograph(tmp_path / 'a.jpg', time=time)) == (None, None)
    assert exif_of(photograph(tmp_path / 'b.jpg', offset=None))[0].tzinfo is None
    (tmp_path / 'c.jpg').write_bytes(b'no image')
    assert exif_of(tmp_path / 'c.jpg') == exif_of(tmp_path / 'none.jpg') == (None, None)


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no FIFOs')
def test_exif_of_a_file_that_is_not_regular_is_none_at_once(tmp_path):
    os.mkfifo(tmp_path / 'a.jpg')
    assert exif_of(tmp_path / 'a.jpg') == exif_of(tmp_path) == (None, None)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)), st.text('ab_-', max_size=4))
def test_times_are_read_from_file_names_of_any_pattern(time, other):
    for pattern in ('%Y%m%d_%H%M%S', '%Y-%j-%H%M%S', '%y%m%d%H%M%S'):
        name = f'{other}{time.strftime(pattern)}{other}.jpg'
        assert time_in_name(name, pattern, UTC) == time.replace(microsecond=0, tzinfo=UTC)


def test_the_first_valid_time_in_a_name_counts():
    assert time_in_name('99999999_20240229.jpg', '%Y%m%d', UTC) == datetime(2024, 2, 29, tzinfo=UTC)
    assert time_in_name('20230229.jpg', '%Y%m%d', UTC) is None
    with pytest.raises(ValueError, match='expected %Y'):
        time_in_name('x', '%Y %B', UTC)


def test_zones_are_offsets_or_names_and_others_are_refused():
    assert zone_of('+01:30').utcoffset(None) == timedelta(hours=1, minutes=30)
    assert zone_of('-0800').utcoffset(None) == timedelta(hours=-8)
    winter = datetime(2024, 1, 1, tzinfo=zone_of('Europe/Oslo'))
    assert winter.utcoffset() == timedelta(hours=1) and zone_of('utc') is UTC
    for name in ('Middle-earth/Shire', '../../etc/passwd', '+99:00', ''):
        with pytest.raises(ValueError, match='no time zone'):
            zone_of(name)
