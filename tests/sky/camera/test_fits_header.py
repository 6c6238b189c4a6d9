"""Time and place in the headers of FITS images."""

import gzip
from datetime import datetime, timezone

import numpy as np
import pytest

from hyperbolic_seg.sky.camera.fits_header import fits_header_of
from hyperbolic_seg.sky.camera.sky_camera import SkyCamera
from hyperbolic_seg.sky.camera.sun import Place
from tests.photographs import ASCII, RATIONAL, dng_bytes, fits_bytes

LEVELS = np.full((16, 16), 1000, np.uint16)
WHEN = datetime(2024, 7, 17, 9, 30, tzinfo=timezone.utc)


def taken(path, **keywords):
    path.write_bytes(fits_bytes(LEVELS, **keywords))
    return SkyCamera().taken(path)


@pytest.mark.parametrize(
    'keywords, expected',
    [
        (dict(DATE_OBS='2024-07-17T09:30:00'), WHEN),
        (dict(DATE_OBS='2024-07-17T09:30:00.1234567', EXPTIME=60.0), WHEN.replace(microsecond=123456)),
        (dict(DATE_OBS='2024-07-17T11:30:00+02:00'), WHEN),
        (dict(DATE_OBS='2024-07-17', TIME_OBS='09:30:00'), WHEN),
        (dict(DATE_OBS='2024-07-17T09:29:60', TIMESYS='UTC'), WHEN),
        (dict(DATE_OBS='2024-07-17'), None),
        (dict(DATE_OBS='2024-13-17T09:30:00'), None),
        (dict(DATE_OBS='17/07/24'), None),
        (dict(DATE_OBS=''), None),
        (dict(), None),
    ],
)
def test_date_obs_is_the_start_of_the_exposure_in_utc(tmp_path, keywords, expected):
    found = taken(tmp_path / 'a.fits', **keywords)
    assert (found.time, found.time_source) == (expected, None if expected is None else 'DATE-OBS')


def test_another_scale_of_time_is_refused(tmp_path):
    with pytest.raises(ValueError, match='DATE-OBS is in TIMESYS TAI: expected UTC; set time_format instead'):
        taken(tmp_path / 'a.fits', DATE_OBS='2024-07-17T09:30:00', TIMESYS='TAI')


@pytest.mark.parametrize(
    'keywords, expected',
    [
        (dict(SITELAT=59.9, SITELONG=10.7, SITEELEV=90), Place(59.9, 10.7, 90.0)),
        (dict(SITELAT='+59 54 00', SITELONG='-010:42:00.0'), Place(59.9, -10.7)),
        (dict(SITELAT=-33.5, SITELONG=349.3), Place(-33.5, -10.7)),
        ({'LAT-OBS': 59.9, 'LONG-OBS': 10.7, 'ALT-OBS': 5}, Place(59.9, 10.7, 5.0)),
        ({'OBSGEO-B': 59.9, 'OBSGEO-L': 10.7, 'SITELAT': 1.0, 'SITELONG': 2.0}, Place(59.9, 10.7)),
        (dict(SITELAT=0.0, SITELONG=0.0), None),
        (dict(SITELAT=91.0, SITELONG=10.0), None),
        (dict(SITELAT=59.9), None),
        (dict(SITELAT='north', SITELONG='east'), None),
    ],
)
def test_place_of_the_programs_of_cameras(tmp_path, keywords, expected):
    found = taken(tmp_path / 'a.fits', **keywords).place
    assert found == (None if expected is None else pytest.approx(expected))


def test_compressed_files_have_their_headers(tmp_path):
    keywords = dict(DATE_OBS='2024-07-17T09:30:00', SITELAT=59.9, SITELONG=10.7)
    (tmp_path / 'a.fits.fz').write_bytes(fits_bytes(LEVELS, compressed=True, **keywords))
    (tmp_path / 'a.fits.gz').write_bytes(gzip.compress(fits_bytes(LEVELS, **keywords)))
    for path in tmp_path.iterdir():
        assert SkyCamera().taken(path) == (WHEN, 'DATE-OBS', Place(59.9, 10.7))


def test_the_camera_file_comes_before_the_header(tmp_path):
    path = tmp_path / '20240101_1200.fits'
    taken(path, DATE_OBS='2024-07-17T09:30:00', SITELAT=59.9, SITELONG=10.7)
    found = SkyCamera(time_format='%Y%m%d_%H%M', latitude=1.0, longitude=2.0).taken(path)
    assert found == (datetime(2024, 1, 1, 12, tzinfo=timezone.utc), 'name', Place(1.0, 2.0))
    path = path.rename(tmp_path / 'sky.fits')
    assert SkyCamera(time_format='%Y%m%d_%H%M', time_fallback='exif').taken(path).time_source == 'DATE-OBS'


def test_files_that_are_none_have_no_header(tmp_path):
    contents = dict(cut=fits_bytes(LEVELS)[:2000], text=b'hello', empty=b'', picture=b'\xff\xd8\xff')
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        assert fits_header_of(tmp_path / name) is None
    assert fits_header_of(tmp_path / 'lost') is None and fits_header_of(tmp_path) is None


def test_a_raw_photograph_has_its_time_and_place_in_exif(tmp_path):
    exif = [(36867, ASCII, '2024:07:17 11:30:00'), (36881, ASCII, '+02:00')]
    place = [(1, ASCII, 'N'), (2, RATIONAL, [59, 1, 54, 1, 0, 1]), (3, ASCII, 'W'), (4, RATIONAL, [10, 1, 42, 1, 0, 1])]
    (tmp_path / 'a.dng').write_bytes(dng_bytes(LEVELS, exif=exif, gps=place))
    assert SkyCamera().taken(tmp_path / 'a.dng') == (WHEN, 'DateTimeOriginal', pytest.approx(Place(59.9, -10.7)))
