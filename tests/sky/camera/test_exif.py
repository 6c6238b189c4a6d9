"""Time and place from the EXIF data of images as cameras write them."""

import json
import os
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from PIL import ExifTags, Image, TiffImagePlugin

from hyperbolic_seg.sky.camera.exif import Exif, exif_in, exif_of
from hyperbolic_seg.sky.camera.sun import Place
from hyperbolic_seg.sky.camera.zones import zone_of

UTC, TAGS, GPS = timezone.utc, ExifTags.Base, ExifTags.GPS
SYDNEY = {
    GPS.GPSLatitudeRef: 'S',
    GPS.GPSLatitude: (33.0, 30.0, 36.0),
    GPS.GPSLongitudeRef: 'E',
    GPS.GPSLongitude: (151.0, 15.0, 0.0),
}
CLOCK = {GPS.GPSDateStamp: '2024:07:17', GPS.GPSTimeStamp: (1.0, 30.0, 0.0)}


def photograph(path, gps=None, **tags):
    """Write an image with tags by their names."""
    exif = Image.Exif()
    own = exif.get_ifd(ExifTags.IFD.Exif)
    for name, value in tags.items():
        (exif if name in ('DateTime', 'OffsetTime') else own)[getattr(TAGS, name)] = value
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(path, exif=exif)
    return path


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp'])
def test_exif_says_when_whatever_the_kind_of_file(tmp_path, suffix):
    own = {TAGS.DateTimeOriginal: '2024:07:17 11:30:00', TAGS.OffsetTimeOriginal: '+02:00'}
    image, path = Image.fromarray(np.full((8, 8, 3), 90, np.uint8)), tmp_path / f'a.{suffix}'
    if suffix == 'tif':
        info = TiffImagePlugin.ImageFileDirectory_v2()
        info[ExifTags.IFD.Exif] = own
        image.save(path, tiffinfo=info)
    else:
        exif = Image.Exif()
        exif[ExifTags.IFD.Exif] = own
        image.save(path, exif=exif)
    assert exif_of(path).time(None) == (datetime(2024, 7, 17, 9, 30, tzinfo=UTC), 'DateTimeOriginal')


@pytest.mark.parametrize('reference', ['S', 's', 'S\0', 'S ', ' s\0'])
def test_hemispheres_in_any_case_and_padding(tmp_path, reference):
    gps = SYDNEY | {GPS.GPSLatitudeRef: reference, GPS.GPSAltitude: 120.5}
    assert exif_of(photograph(tmp_path / 'a.jpg', gps)).place == pytest.approx(Place(-33.51, 151.25, 120.5))
    west = SYDNEY | {GPS.GPSLongitudeRef: reference.lower().replace('s', 'w')}
    assert exif_of(photograph(tmp_path / 'b.jpg', west)).place.longitude == pytest.approx(-151.25)


@pytest.mark.parametrize('reference', [None, '', '?', 'E'])
def test_a_position_without_its_hemisphere_is_none(tmp_path, reference):
    gps = {tag: value for tag, value in (SYDNEY | {GPS.GPSLatitudeRef: reference}).items() if value is not None}
    assert exif_of(photograph(tmp_path / 'a.jpg', gps)).place is None


LOCAL = '2024:07:17 11:30:00'
TOKYO = zone_of('+09:00')


@pytest.mark.parametrize(
    ('tags', 'gps', 'zone', 'expected', 'source'),
    [
        (dict(DateTimeOriginal=LOCAL, OffsetTimeOriginal='+02:00'), CLOCK, TOKYO, 9.5, 'DateTimeOriginal'),
        (dict(DateTimeOriginal=LOCAL), CLOCK, TOKYO, 2.5, 'DateTimeOriginal'),
        (dict(DateTimeOriginal=LOCAL), CLOCK, None, 1.5, 'GPSTimeStamp'),
        (dict(DateTimeOriginal=LOCAL), None, None, 11.5, 'DateTimeOriginal'),
        (dict(DateTimeOriginal=LOCAL, OffsetTimeOriginal='   :  '), None, TOKYO, 2.5, 'DateTimeOriginal'),
        (dict(DateTimeOriginal=LOCAL, OffsetTimeOriginal='   :  '), None, None, 11.5, 'DateTimeOriginal'),
        (dict(DateTimeOriginal='    :  :     :  :  '), CLOCK, TOKYO, 1.5, 'GPSTimeStamp'),
        (dict(), CLOCK, None, 1.5, 'GPSTimeStamp'),
        (dict(DateTimeDigitized=LOCAL, OffsetTimeDigitized='+02:00'), None, TOKYO, 9.5, 'DateTimeDigitized'),
        (dict(DateTimeDigitized=LOCAL, DateTime='2025:01:01 00:00:00'), None, TOKYO, 2.5, 'DateTimeDigitized'),
        (dict(DateTime=LOCAL), None, None, 11.5, 'DateTime'),
    ],
)
def test_which_time_counts(tmp_path, tags, gps, zone, expected, source):
    time, found = exif_of(photograph(tmp_path / 'a.jpg', gps, **tags)).time(zone)
    assert found == source
    assert time == datetime(2024, 7, 17, tzinfo=UTC) + timedelta(hours=expected)


def test_a_gps_time_of_another_day_is_of_another_image(tmp_path):
    stale = CLOCK | {GPS.GPSDateStamp: '2024:07:15'}
    time, source = exif_of(photograph(tmp_path / 'a.jpg', stale, DateTimeOriginal=LOCAL)).time(None)
    assert (time, source) == (datetime(2024, 7, 17, 11, 30, tzinfo=UTC), 'DateTimeOriginal')


@pytest.mark.parametrize('time', ['0000:00:00 00:00:00', 'yesterday', '2024:13:01 00:00:00', None])
def test_times_that_exif_lacks_are_none(tmp_path, time):
    tags = {} if time is None else dict(DateTimeOriginal=time, DateTime=time)
    broken = {GPS.GPSDateStamp: 'never', GPS.GPSTimeStamp: (25.0, 0.0, 0.0)}
    assert exif_of(photograph(tmp_path / 'a.jpg', broken, **tags)).time(UTC) is None
    (tmp_path / 'c.jpg').write_bytes(b'no image')
    for name in ('c.jpg', 'none.jpg'):
        found = exif_of(tmp_path / name)
        assert found.time(UTC) is None and found.place is None


def test_a_time_that_does_not_exist_is_refused(tmp_path):
    path = photograph(tmp_path / 'a.jpg', DateTimeOriginal='2024:03:31 02:30:00')
    with pytest.raises(ValueError, match='does not exist in Europe/Oslo'):
        exif_of(path).time(zone_of('Europe/Oslo'))


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no FIFOs')
def test_exif_of_a_file_that_is_not_regular_is_none_at_once(tmp_path):
    os.mkfifo(tmp_path / 'a.jpg')
    for path in (tmp_path / 'a.jpg', tmp_path):
        assert exif_of(path).place is None and exif_of(path).time(None) is None


@pytest.mark.parametrize('altitude', [{}, {GPS.GPSAltitude: 40.5}, {GPS.GPSAltitude: 40.5, GPS.GPSAltitudeRef: b'\1'}])
@pytest.mark.parametrize(
    'tags',
    [
        dict(DateTimeOriginal='2024:07:17 11:30:00', OffsetTimeOriginal='+10:00'),
        dict(DateTimeOriginal='2024:07:17 11:30:00\0\0'),
        dict(DateTimeDigitized='2024:07:17 11:30:00', OffsetTimeDigitized='+09:30', DateTime='2024:07:18 00:00:00'),
        dict(DateTime='2024:07:17 11:30:00'),
        {},
    ],
)
def test_plain_tags_say_the_same_in_json(tmp_path, tags, altitude):
    exif = exif_of(photograph(tmp_path / 'a.jpg', SYDNEY | CLOCK | altitude, **tags, Make='a camera', UserComment='x'))
    plain = [{int(tag): value for tag, value in part.items()} for part in json.loads(json.dumps(exif.plain))]
    for zone in (None, zone_of('Australia/Sydney')):
        assert Exif(*plain).time(zone) == exif.time(zone)
    assert Exif(*plain).place == exif.place and exif.place is not None
    assert exif_in((tmp_path / 'a.jpg').read_bytes()) == exif
    assert 'camera' not in str(plain)


def test_plain_tags_are_short_whatever_the_file_holds():
    tags = {TAGS.DateTimeOriginal: 'x' * 10**6, TAGS.DateTime: b'\xff' * 10**6, TAGS.OffsetTime: object()}
    gps = {GPS.GPSLatitude: (1.0,) * 10**5, GPS.GPSLongitude: ((1,) * 9,) * 9, 10**6: 'y' * 10**6}
    gps[GPS.GPSAltitude] = TiffImagePlugin.IFDRational(1, 0)
    exif = Exif(tags, gps)
    assert len(json.dumps(exif.plain)) < 1000 and Exif(*exif.plain).place is None and exif.plain.time(None) is None


@pytest.mark.parametrize('content', [b'', b'no image', b'\xff\xd8\xff\xe1\0\x10Exif\0\0MM\0*\xff\xff\xff\xff'])
def test_content_without_an_image_has_no_tags(content):
    assert exif_in(content) == Exif({}, {})
