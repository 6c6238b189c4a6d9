"""A sky camera by its file."""

import math
import os
import time
from datetime import datetime, timezone

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags

from hyperbolic_seg.images import reduced_size
from hyperbolic_seg.sky.camera.dome import Dome
from hyperbolic_seg.sky.camera.exif import Exif
from hyperbolic_seg.sky.camera.sky_camera import SkyCamera

IMAGE = np.where(Dome((59.5, 49.5), 45).mask(100, 120)[..., None], np.uint8(180), np.uint8(4)).repeat(3, 2)
VALUES = st.none() | st.booleans() | st.floats() | st.text()
ANYTHING = st.recursive(VALUES, lambda part: st.lists(part) | st.dictionaries(st.text(), part))
OSLO = dict(latitude=59.9, longitude=10.7, time_format='%Y%m%d_%H%M', timezone='Europe/Oslo')


def written(path, text):
    path.write_text(text)
    return path


def test_a_dome_found_and_a_dome_given_are_the_same():
    found = SkyCamera(zenith_limit=70).view(IMAGE, 'a.jpg')
    given = SkyCamera(zenith_limit=70, center=(59.5, 49.5), radius=45).view(IMAGE, 'a.jpg')
    assert found.time is found.sun is None
    np.testing.assert_allclose(found.weights.sum(), given.weights.sum(), rtol=0.02)
    assert given.weights.sum() == pytest.approx(2 * math.pi * (1 - math.cos(math.radians(70))), rel=0.01)


def test_the_sun_of_a_summer_noon_is_masked_to_the_south():
    camera = SkyCamera(**OSLO, center=(59.5, 49.5), radius=45, sun_angle=8)
    view = camera.view(IMAGE, 'cam_20240717_1320.jpg')
    assert view.time == datetime(2024, 7, 17, 11, 20, tzinfo=timezone.utc)
    assert view.sun.phase == 'day' and view.sun.elevation == pytest.approx(51, abs=1)
    assert view.sun.azimuth == pytest.approx(180, abs=3)
    plain = SkyCamera(center=(59.5, 49.5), radius=45).view(IMAGE, 'a.jpg')
    rows, columns = np.nonzero((view.weights == 0) & (plain.weights > 0))
    assert rows.mean() == pytest.approx(49.5 + 45 * 39 / 90, abs=1) and columns.mean() == pytest.approx(59.5, abs=2)
    night = camera.view(IMAGE, 'cam_20241201_0100.jpg')
    assert night.sun.phase == 'night' and night.weights.sum() == pytest.approx(plain.weights.sum())


def test_the_full_moon_of_a_winter_night_is_masked():
    camera = SkyCamera(**OSLO, center=(59.5, 49.5), radius=45)
    view = camera.view(IMAGE, 'cam_20241215_2330.jpg')
    assert view.moon.illumination > 0.99 and view.moon.elevation > 40, 'full on December 15, 2024, 9:02 UTC'
    plain = SkyCamera(**OSLO, center=(59.5, 49.5), radius=45, moon_angle=0).view(IMAGE, 'cam_20241215_2330.jpg')
    rows, columns = np.nonzero((view.weights == 0) & (plain.weights > 0))
    distance, azimuth = 45 * (90 - view.moon.elevation) / 90, math.radians(view.moon.azimuth)
    expected = 49.5 - distance * math.cos(azimuth), 59.5 - distance * math.sin(azimuth)
    assert (rows.mean(), columns.mean()) == pytest.approx(expected, abs=0.5)
    masked = plain.weights.sum() - view.weights.sum()
    assert masked == pytest.approx(2 * math.pi * (1 - math.cos(math.radians(5))), rel=0.15)
    day = camera.view(IMAGE, 'cam_20240717_1320.jpg')
    assert day.moon is not None and camera.view(IMAGE, 'a.jpg').moon is None


def test_a_tilt_moves_the_zenith_limit_and_the_sun():
    options = dict(**OSLO, center=(59.5, 49.5), radius=45, sun_angle=8)
    tilted = SkyCamera(**options, zenith_limit=30, tilt=20, tilt_azimuth=180).view(IMAGE, 'a_20241201_0100.jpg')
    rows, columns = np.nonzero(tilted.weights)
    # The zenith is 20 of 90 degrees north of the axis: up in the image, whose radius is 45 pixels.
    assert (np.ptp(rows) / 2 + rows.min(), columns.mean()) == pytest.approx((49.5 - 10, 59.5), abs=0.6)
    assert tilted.weights.sum() == pytest.approx(2 * math.pi * (1 - math.cos(math.radians(30))), rel=0.02)
    noon, night = (
        SkyCamera(**options, tilt=20, tilt_azimuth=180).view(IMAGE, f'a_{time}.jpg').weights
        for time in ('20240717_1320', '20241201_0100')
    )
    rows, columns = np.nonzero((noon == 0) & (night > 0))
    assert rows.mean() == pytest.approx(49.5 + 45 * (39 - 20) / 90, abs=1)
    assert columns.mean() == pytest.approx(59.5, abs=2)


def test_a_large_image_is_viewed_at_a_reduced_size(tmp_path):
    """Solid angles add up to those of all pixels, with the mask and the sun where they are."""
    size = 2000, 2400
    mask = np.full(size, 255, np.uint8)
    mask[:, :1100] = 0
    cv2.imwrite(str(tmp_path / 'trees.png'), mask)
    options = OSLO | dict(center=(1199.5, 999.5), radius=960.0, mask=str(tmp_path / 'trees.png'))
    camera, image = SkyCamera(**options), np.full((*size, 3), 180, np.uint8)
    whole, small = (camera.view(image, 'cam_20240717_1320.jpg', reduced=reduced) for reduced in (False, True))
    assert whole.weights.shape == size and small.weights.shape == reduced_size(*size)
    assert small.weights.sum() == pytest.approx(whole.weights.sum(), rel=2e-3)
    assert small.sun == whole.sun
    enlarged = cv2.resize((small.weights > 0).astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    assert (enlarged.astype(bool) != (whole.weights > 0)).mean() < 2e-3
    cv2.imwrite(str(tmp_path / 'small.png'), mask[::4, ::4])
    options |= dict(mask=str(tmp_path / 'small.png'), image_size=size[::-1])
    of_small_mask = SkyCamera(**options).view(image, 'cam_20240717_1320.jpg', reduced=True)
    assert ((of_small_mask.weights > 0) != (small.weights > 0)).mean() < 2e-3
    with pytest.raises(ValueError, match='another shape'):
        camera.view(image[:1000], 'a.jpg', reduced=True)
    of_reduced = camera.view(image[::2, ::2], 'cam_20240717_1320.jpg', reduced=True, size=size)
    np.testing.assert_array_equal(of_reduced.weights, small.weights)


def test_a_dome_that_is_found_in_a_reduced_image_is_that_of_the_whole_one():
    image = np.zeros((900, 1200, 3), np.uint8)
    cv2.circle(image, (560, 460), 400, (200, 180, 160), -1)
    reduced = cv2.resize(image, (400, 300), interpolation=cv2.INTER_AREA)
    whole, found = SkyCamera().lens(image), SkyCamera().lens(reduced, size=image.shape[:2])
    assert found.center == pytest.approx(whole.center, abs=1.5) and found.focal == pytest.approx(whole.focal, rel=5e-3)


def test_a_mask_beside_the_file_hides_pixels(tmp_path):
    mask = np.full((100, 120), 255, np.uint8)
    mask[:, :60] = 0
    cv2.imwrite(str(tmp_path / 'trees.png'), mask)
    camera = SkyCamera.load(written(tmp_path / 'camera.yaml', 'mask: trees.png\ncenter: [59.5, 49.5]\nradius: 45\n'))
    weights = camera.view(IMAGE, 'a.jpg').weights
    assert not weights[:, :60].any() and weights[:, 60:].any()
    with pytest.raises(ValueError, match='for images of 120 x 100 pixels, this one has 120 x 50, another shape'):
        camera.view(IMAGE[:50], 'a.jpg')


@pytest.mark.parametrize('factor', [0.5, 2, 3])
@pytest.mark.parametrize('reference', ['image_size', 'mask'])
def test_images_of_another_size_are_scaled_with_dome_and_mask(tmp_path, factor, reference):
    mask = np.full((100, 120), 255, np.uint8)
    mask[:, :60] = 0
    cv2.imwrite(str(tmp_path / 'mask.png'), mask)
    size = dict(image_size=(120, 100)) if reference == 'image_size' else {}
    camera = SkyCamera(center=(59.5, 49.5), radius=45, mask=str(tmp_path / 'mask.png'), sun_angle=8, **OSLO, **size)
    name = 'cam_20240717_1320.jpg'
    view = camera.view(IMAGE, name)
    other = camera.view(cv2.resize(IMAGE, None, fx=factor, fy=factor), name)
    assert other.weights.sum() == pytest.approx(view.weights.sum(), rel=0.02)
    assert not other.weights[:, : int(60 * factor)].any()
    large = cv2.resize(view.weights, other.weights.shape[::-1]) > 0
    assert (large != (other.weights > 0)).mean() < 0.05


def test_a_calibration_is_scaled_too(tmp_path):
    storage = cv2.FileStorage(str(tmp_path / 'lens.yml'), cv2.FILE_STORAGE_WRITE)
    storage.write('K', np.array([[28.0, 0, 59.5], [0, 28.0, 49.5], [0, 0, 1]]))
    storage.write('D', np.zeros((4, 1)))
    storage.release()
    camera = SkyCamera(calibration=str(tmp_path / 'lens.yml'), image_size=(120, 100))
    sizes = [camera.view(np.zeros((50 * n, 60 * n, 3), np.uint8), 'a.jpg').weights.sum() for n in (1, 2, 4)]
    assert sizes == pytest.approx([sizes[1]] * 3, rel=0.02)
    of_unknown_size = SkyCamera(calibration=str(tmp_path / 'lens.yml'))
    for size in ((50, 60, 3), (200, 240, 3)):
        with pytest.raises(ValueError, match='is it that of another size. Give image_size'):
            of_unknown_size.view(np.zeros(size, np.uint8), 'a.jpg')


def test_a_dome_at_the_side_of_an_image_of_unknown_size_is_refused():
    camera = SkyCamera(center=(59.5, 49.5), radius=45)
    for size in ((200, 240), (50, 60)):
        with pytest.raises(ValueError, match=f'image of {size[1]} x {size[0]} pixels.*image_size'):
            camera.view(np.zeros((*size, 3), np.uint8), 'a.jpg')


@pytest.mark.parametrize(
    'text, message',
    [
        ('projektion: equisolid', 'no such settings: projektion. There are adaptation'),
        ('center: [1, 2]', 'center and radius go together'),
        ('latitude: 3', 'latitude and longitude go together'),
        ('image_size: [120.5, 100]', 'image_size: .*: expected two whole numbers'),
        ('image_size: 120', 'expected two whole numbers'),
        ('image_size: [0, 100]', 'expected width and height in pixels'),
        ('radius: wide', "radius: 'wide': expected a number"),
        ('center: [1, 2, 3]\nradius: 3', 'expected two numbers'),
        ('timezone: 3', 'timezone: 3: expected text'),
        ('timezone: Shire', 'no time zone'),
        ('time_format: "%Q"', 'expected %Y'),
        ('east: up', "expected 'left'"),
        ('zenith_limit: 0', 'expected degrees'),
        ('moon_angle: 181', 'moon_angle 181: expected degrees up to 180'),
        ('tilt: 91', 'tilt 91: expected 0 to 90 degrees'),
        ('tilt: -3', 'tilt -3: expected 0 to 90 degrees'),
        ('tilt_azimuth: south', "tilt_azimuth: 'south': expected a number"),
        ('north: true', 'expected a number'),
        ('- a list', 'expected settings such as'),
        ('a: {', 'is no YAML'),
        ('projection: equidistand', "no projection 'equidistand'"),
        ('field_of_view: 400', 'expected a positive radius, and degrees up to 360'),
        ('latitude: 95\nlongitude: 3', 'no place: 95 degrees north'),
        ('sun_angle: .nan', 'sun_angle: nan: expected a finite number'),
        ('radius: .inf\ncenter: [1, 2]', 'radius: inf: expected a finite number'),
        ('center: [.nan, 2]\nradius: 2', 'center: nan: expected a finite number'),
        ('altitude: -.inf', 'altitude: -inf: expected a finite number'),
        ('north: ' + '9' * 4000, 'north: .*: expected a finite number'),
        ('north: ' + '9' * 5000, 'is no YAML'),
        ('[' * 10_000, 'more than 32 levels'),
        ('a: &a [1]\nb: *a', 'the reference .a'),
        ('radius: ' + '[1, ' * 20 + ']' * 20, 'expected a number'),
        ('east: [' + 'x, ' * 5000 + ']', 'expected text'),
        ('x' * 900 + ': 1', 'no such settings'),
        ('#' * 70_000, 'more than 65536 bytes'),
        ('north: \0', 'is no YAML'),
        ('!!python/object/apply:os.mkdir [sprung]', 'is no YAML'),
        ('mask: .', 'is a folder: expected a regular file'),
        ('calibration: .', 'is a folder: expected a regular file'),
        ('mask: none.png', 'none.png is missing'),
        ('calibration: none.yml', 'no calibration file'),
        ('time_format: "%H%M%S"', 'names no day'),
        ('time_format: "%Y%Y%m%d"', 'has a code twice'),
        ('timezone: +10:00', 'timezone: 600: expected text, in quotes'),
        ('calibration: c.yml\ncenter: [1, 1]\nradius: 2', 'a calibration has its own center'),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as error:
        SkyCamera.load(written(tmp_path / 'camera.yaml', text))
    assert 'camera.yaml' in str(error.value) and len(str(error.value)) < 1500


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no FIFOs here')
def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for text in ('mask: pipe', 'calibration: pipe'):
        with pytest.raises(ValueError, match='pipe is a FIFO: expected a regular file'):
            SkyCamera.load(written(tmp_path / 'camera.yaml', text))
    with pytest.raises(ValueError, match='pipe is a FIFO'):
        SkyCamera.load(tmp_path / 'pipe')


def matrix(rows, columns, numbers):
    return f'!!opencv-matrix\n   rows: {rows}\n   cols: {columns}\n   dt: d\n   data: [ {numbers} ]\n'


GOOD = (
    '%YAML:1.0\n---\nK: '
    + matrix(3, 3, '50., 0., 60., 0., 50., 50., 0., 0., 1.')
    + 'D: '
    + matrix(4, 1, '0., 0., 0., 0.')
)


@pytest.mark.parametrize(
    'content, message',
    [
        (GOOD.replace('rows: 3', 'rows: 1000000').replace('cols: 3', 'cols: 1000000'), 'K has 1000000 x 1000000'),
        (GOOD.replace('rows: 3', 'rows: -3'), 'K has -3 x 3'),
        (GOOD.replace('50.', '.Nan', 1), 'expected finite numbers'),
        (GOOD.replace('50.', '.Inf', 1), 'expected finite numbers'),
        (GOOD.replace('D: ', 'D: 5\nE: '), 'is not a file of cv2.FileStorage'),
        (
            '%YAML:1.0\n---\nK: !!opencv-nd-matrix\n   sizes: [ 9999, 9999, 9999 ]\n   dt: d\n   data: [ 1. ]\n',
            'K has 0',
        ),
        ('%YAML:1.0\n---\na: ' + '[' * 200_000, 'lists, mappings and elements'),
        ('%YAML:1.0\n---\n' + '- ' * 200_000, 'lists, mappings and elements'),
        ('{"a": ' * 100_000, 'lists, mappings and elements'),
        ('<?xml version="1.0"?>\n<opencv_storage>' + '<a>' * 200_000, 'lists, mappings and elements'),
        ('x' * (2**20 + 1), 'more than 1048576 bytes'),
        ('nothing', 'is not a file of cv2.FileStorage'),
        ('', 'is not a file of cv2.FileStorage'),
        (b'%YAML:1.0\n---\n\xff: 1', 'is not a file of cv2.FileStorage'),
    ],
    ids=range(14),
)
def test_malformed_calibrations_are_refused(tmp_path, content, message):
    SkyCamera(calibration=str(written(tmp_path / 'good.yml', GOOD)))
    (tmp_path / 'bad.yml').write_bytes(content.encode() if isinstance(content, str) else content)
    start = time.perf_counter()
    with pytest.raises(ValueError, match=message) as error:
        SkyCamera.load(written(tmp_path / 'camera.yaml', 'calibration: bad.yml'))
    assert time.perf_counter() - start < 20 and len(str(error.value)) < 1500


def test_numbers_that_are_not_finite_are_refused():
    for options in (dict(radius=math.nan, center=(1, 2)), dict(center=(math.inf, 1), radius=1), dict(north=math.inf)):
        with pytest.raises(ValueError, match='expected a finite number'):
            SkyCamera(**options)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no camera file'):
        SkyCamera.load(tmp_path / 'camera.yaml')
    with pytest.raises(ValueError, match='none.png is missing'):
        SkyCamera(mask=str(tmp_path / 'none.png'), center=(59.5, 49.5), radius=45)
    with pytest.raises(FileNotFoundError, match='no calibration file'):
        SkyCamera(calibration=str(tmp_path / 'none.yml'))


def test_a_dome_beyond_the_image_is_refused():
    with pytest.raises(ValueError, match=r'center \(640.0, 640.0\) lies at the side of an image of 120 x 100 pixels'):
        SkyCamera(center=(640.0, 640.0), radius=600).view(IMAGE, 'a.jpg')


@given(ANYTHING)
def test_any_content_is_taken_or_refused(tmp_path_factory, content):
    file = tmp_path_factory.mktemp('camera') / 'camera.yaml'
    file.write_text(yaml.safe_dump(content), encoding='utf-8')
    try:
        SkyCamera.load(file)
    except ValueError as error:
        assert str(file) in str(error)


def test_of_an_image_in_memory_no_file_is_read(tmp_path):
    """Even if there is one of that name on this machine."""
    file, camera = written(tmp_path / 'cam.jpg', ''), SkyCamera(time_fallback='file')
    assert camera.taken(file).time_source == 'file'
    assert camera.taken(file, exif=Exif({}, {})) == (None, None, None)
    own = Exif({ExifTags.Base.DateTimeOriginal: '2024:07:17 11:30:00'}, {})
    noon = datetime(2024, 7, 17, 11, 30, tzinfo=timezone.utc)
    assert camera.taken('none.jpg', exif=own) == (noon, 'DateTimeOriginal', None)
    assert camera.unseen('none.jpg', exif=own).time == noon


def test_levels_of_the_camera_are_checked(tmp_path):
    camera = SkyCamera.load(written(tmp_path / 'a.yaml', 'bit_depth: 12\nwhite_balance: [1.6, 1.9]\n'))
    assert camera.levels == (12, (1.6, 1.9)) and SkyCamera().levels == (None, (1.0, 1.0))
    for text, message in {
        'bit_depth: 7': 'bit_depth 7: expected bits from 8 to 16',
        'bit_depth: 12.5': 'bit_depth: 12.5: expected a whole number',
        'bit_depth: twelve': "bit_depth: 'twelve': expected a whole number",
        'white_balance: [0, 1]': r'white_balance \(0, 1\): expected factors of red and blue from 0.1 to 10',
        'white_balance: 1.5': 'white_balance: 1.5: expected two numbers',
    }.items():
        with pytest.raises(ValueError, match=message):
            SkyCamera.load(written(tmp_path / 'b.yaml', text))
