"""Fisheye lenses, against their definitions and OpenCV."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hyperbolic_seg.sky.camera.lens import PROJECTIONS, Lens
from hyperbolic_seg.sky.renderer.camera import look
from hyperbolic_seg.sky.renderer.scene import Camera, Sun

ANGLES = st.floats(0, 89)


def dome(projection='equidistant', field_of_view=160.0, **options):
    return Lens.from_dome((101.5, 98.0), 90.0, projection=projection, field_of_view=field_of_view, **options)


def calibration(path, k=(0.05, -0.01, 0.002, -0.0005), matrix=None):
    matrix = np.array([[120.0, 0, 101], [0, 118, 97], [0, 0, 1]]) if matrix is None else matrix
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write('camera_matrix', matrix)
    storage.write('distortion_coefficients', np.array(k).reshape(-1, 1))
    storage.release()
    return path


def pixel_of(lens, zenith, azimuth):
    """Pixels (x, y) in directions given in degrees, by the definition of a projection."""
    angle = np.radians(np.asarray(zenith, float))
    clockwise = np.radians(np.asarray(azimuth, float) * (-1 if lens.east_left else 1) + lens.north)
    radius = lens.projection.radius(angle)
    x = lens.center[0] + lens.focal[0] * radius * np.sin(clockwise)
    return x, lens.center[1] - lens.focal[1] * radius * np.cos(clockwise)


@pytest.mark.parametrize('projection', PROJECTIONS)
@given(zenith=st.floats(0.5, 79.9), azimuth=st.floats(0, 360), north=st.floats(-180, 180), east_left=st.booleans())
def test_pixels_map_to_directions_and_back(projection, zenith, azimuth, north, east_left):
    lens = dome(projection, north=north, east_left=east_left)
    x, y = pixel_of(lens, zenith, azimuth)
    moved = Lens(
        (lens.center[0] - float(x), lens.center[1] - float(y)), lens.focal, lens.projection, 80.0, north, east_left
    )
    found = [float(array[0, 0]) for array in moved.directions(1, 1)]
    assert found[0] == pytest.approx(zenith, abs=1e-3)
    assert math.cos(math.radians(found[1] - azimuth)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize('projection', PROJECTIONS)
def test_the_rim_is_the_edge_of_the_field_of_view(projection):
    lens = dome(projection)
    zenith, azimuth = lens.directions(200, 210)
    rows, columns = np.mgrid[:200, :210]
    inside = np.hypot(columns - 101.5, rows - 98.0) <= 90
    assert np.array_equal(np.isfinite(zenith), inside) and np.array_equal(np.isfinite(azimuth), inside)
    assert zenith[inside].max() == pytest.approx(80, abs=0.6)


@pytest.mark.parametrize('projection', PROJECTIONS)
def test_solid_angles_add_up_to_the_cap_of_the_sphere(projection):
    total = dome(projection).solid_angles(200, 210).sum()
    assert total == pytest.approx(2 * math.pi * (1 - math.cos(math.radians(80))), rel=5e-3)


def test_every_pixel_of_an_equisolid_lens_has_the_same_solid_angle():
    each = dome('equisolid').solid_angles(200, 210)
    assert np.ptp(each[each > 0]) < 1e-6 * each.max()


def test_the_pixel_at_the_zenith_has_the_exact_solid_angle():
    each = Lens.from_dome((10.0, 10.0), 10.0).solid_angles(21, 21)
    assert each[10, 10] == pytest.approx((math.radians(9)) ** 2, rel=1e-3) and each.max() == each[10, 10]


def test_compass_directions_are_seen_from_below():
    x, y = pixel_of(dome(), [40] * 4, [0, 90, 180, 270])  # north, east, south, west
    assert y[0] < 98 < y[2] and x[1] < 101.5 < x[3]
    turned = dome(north=90, east_left=False)
    x, y = pixel_of(turned, [40] * 2, [0, 90])
    assert x[0] > 101.5 and y[1] > 98


def test_directions_are_those_of_the_renderer():
    camera = Camera(kind='fisheye', azimuth=0, elevation=90, field_of_view=170, roll=0, dome_radius=0.95)
    view = look(camera, Sun(0, 40, 0.5, 0.0), (96, 96))
    lens = Lens.from_dome((47.5, 47.5), 0.95 * 48, field_of_view=170, east_left=False)
    zenith, azimuth = lens.directions(96, 96)
    assert np.array_equal(np.isfinite(zenith), view.inside)
    cosine = np.cos(np.radians(zenith[view.inside]))
    np.testing.assert_allclose(view.z[view.inside], cosine, atol=1e-4)
    np.testing.assert_allclose(
        view.x[view.inside], np.sqrt(1 - cosine**2) * np.sin(np.radians(azimuth[view.inside])), atol=1e-3
    )


def test_calibrations_are_those_of_opencv(tmp_path):
    lens = Lens.from_opencv(calibration(tmp_path / 'lens.yml'), field_of_view=150, east_left=False)
    random = np.random.default_rng(0)
    zenith, azimuth = random.uniform(1, 74, 50), random.uniform(0, 360, 50)
    z, a = np.radians(zenith), np.radians(azimuth)
    rays = np.stack([np.sin(z) * np.sin(a), -np.sin(z) * np.cos(a), np.cos(z)], -1)[None]
    matrix = np.array([[120.0, 0, 101], [0, 118, 97], [0, 0, 1]])
    k = np.array([0.05, -0.01, 0.002, -0.0005])
    expected, _ = cv2.fisheye.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, k)
    np.testing.assert_allclose(np.stack(pixel_of(lens, zenith, azimuth), -1), expected[0], atol=1e-6)
    large = Lens.from_opencv(
        calibration(tmp_path / 'large.yml', matrix=np.array([[120.0, 0, 400], [0, 118, 400], [0, 0, 1]])),
        field_of_view=150,
    )
    total = large.solid_angles(800, 800).sum()
    assert total == pytest.approx(2 * math.pi * (1 - math.cos(math.radians(75))), rel=5e-3)


@pytest.mark.parametrize(
    'content, message',
    [
        ('%YAML:1.0\n---\na: 1\n', 'expected camera_matrix'),
        ('no yaml', 'calibration|FileStorage'),
    ],
)
def test_files_without_a_calibration_are_refused(tmp_path, content, message):
    (tmp_path / 'lens.yml').write_text(content)
    with pytest.raises(ValueError, match=message):
        Lens.from_opencv(tmp_path / 'lens.yml')


def test_impossible_lenses_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='no calibration file'):
        Lens.from_opencv(tmp_path / 'none.yml')
    with pytest.raises(ValueError, match='the distance from the center shrinks beyond'):
        Lens.from_opencv(calibration(tmp_path / 'bad.yml', k=(-0.3, 0, 0, 0)))
    with pytest.raises(ValueError, match='there are equidistant, equisolid'):
        dome('rectilinear')
    with pytest.raises(ValueError, match='up to 180 for orthographic'):
        dome('orthographic', field_of_view=200)
    with pytest.raises(ValueError, match='a positive radius'):
        Lens.from_dome((0, 0), 0)
    with pytest.raises(ValueError, match='positive focal length'):
        Lens((0, math.nan), (1, 1), PROJECTIONS['equidistant'])
    with pytest.raises(ValueError, match='zenith angles end at 0'):
        Lens((0, 0), (1, 1), PROJECTIONS['equidistant'], limit=0)


@pytest.mark.parametrize('projection', PROJECTIONS)
def test_no_pixel_of_the_rim_outweighs_the_sky(projection):
    limit = 90 if projection == 'orthographic' else 85
    lens = Lens.from_dome((100, 100), 100, projection=projection, field_of_view=2 * limit)
    each = lens.solid_angles(201, 201)
    assert each.sum() == pytest.approx(2 * np.pi * (1 - np.cos(np.radians(limit))), rel=0.06)
    assert each.max() < 20 * np.median(each[each > 0])


def vectors(zenith, azimuth):
    """Unit vectors (east, north, up) of directions in degrees."""
    z, a = np.radians(zenith), np.radians(azimuth)
    return np.stack([np.sin(z) * np.sin(a), np.sin(z) * np.cos(a), np.cos(z)], -1)


TILTS = dict(tilt=st.floats(0, 90), towards=st.floats(-360, 360), north=st.floats(-180, 180), east_left=st.booleans())


@pytest.mark.parametrize('projection', PROJECTIONS)
@given(**TILTS)
def test_a_tilted_lens_is_an_upright_one_turned(projection, tilt, towards, north, east_left):
    upright = dome(projection, north=north, east_left=east_left)
    tilted = dome(projection, north=north, east_left=east_left, tilt=tilt, tilt_azimuth=towards)
    turn = Rotation.from_euler('ZYZ', [90 - towards, tilt, towards - 90], degrees=True)
    assert np.degrees(turn.magnitude()) == pytest.approx(tilt, abs=1e-6)
    np.testing.assert_allclose(turn.apply([0, 0, 1]), vectors(tilt, towards), atol=1e-9)
    before, after = (lens.directions(40, 42) for lens in (upright, tilted))
    inside = np.isfinite(before[0])
    assert np.array_equal(np.isfinite(after[0]), inside) and np.array_equal(np.isfinite(after[1]), inside)
    turned = turn.apply(vectors(before[0][inside], before[1][inside]))
    np.testing.assert_allclose(vectors(after[0][inside], after[1][inside]), turned, atol=1e-9)
    assert np.array_equal(tilted.solid_angles(40, 42), upright.solid_angles(40, 42))


@pytest.mark.parametrize('projection', PROJECTIONS)
@given(**TILTS)
def test_directions_of_pixels_lead_back_to_them(projection, tilt, towards, north, east_left):
    lens = dome(projection, north=north, east_left=east_left, tilt=tilt, tilt_azimuth=towards).scaled(0.2)
    zenith, azimuth = lens.directions(40, 42)
    x, y = lens.pixels(zenith, azimuth)
    rows, columns = np.mgrid[:40, :42]
    inside = np.hypot(columns - lens.center[0], rows - lens.center[1]) < 17.9
    # Directions are from a table; an orthographic dome is steep at its rim.
    np.testing.assert_allclose(x[inside], columns[inside], atol=0.01)
    np.testing.assert_allclose(y[inside], rows[inside], atol=0.01)


def test_the_center_of_a_tilted_dome_is_where_its_axis_points():
    lens = dome(tilt=30, tilt_azimuth=180, north=25)
    upright = np.stack(pixel_of(dome(north=25), [0, 30], [0, 0]))
    assert np.stack(lens.pixels([30, 0], [180, 0])) == pytest.approx(upright)
    x, y = lens.pixels([109.9, 110.1, 50.1], [180, 180, 0])  # 160 degrees wide
    assert np.isfinite(x).tolist() == np.isfinite(y).tolist() == [True, False, False]
    lying = Lens.from_dome((10.0, 10.0), 10.0, tilt=90, tilt_azimuth=45).directions(21, 21)
    assert (lying[0][10, 10], lying[1][10, 10]) == pytest.approx((90, 45)) and np.nanmax(lying[0]) > 170


def test_a_calibrated_lens_has_a_tilt_too(tmp_path):
    file = calibration(tmp_path / 'lens.yml')
    lens = Lens.from_opencv(file, field_of_view=150, tilt=20, tilt_azimuth=90)
    assert np.stack(lens.pixels([20], [90])).ravel() == pytest.approx([101, 97])
    assert lens.scaled(2).tilt == 20


@pytest.mark.parametrize('tilt', [-1, 90.1, math.nan])
def test_impossible_tilts_are_refused(tilt):
    with pytest.raises(ValueError, match='expected 0 to 90 degrees between the optical axis and the zenith'):
        dome(tilt=tilt)
    with pytest.raises(ValueError, match='finite numbers'):
        dome(tilt_azimuth=math.inf)
