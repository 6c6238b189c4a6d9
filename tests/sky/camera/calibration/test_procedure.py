"""From a folder of pictures to a camera file that predict reads."""

import cv2
import numpy as np
import pytest
import yaml

from hyperbolic_seg.sky.camera import Lens, SkyCamera
from hyperbolic_seg.sky.camera.calibration import as_record, calibrate, write_calibration

FORMAT = '%Y%m%d_%H%M%S'


def files_of(folder):
    return sorted(map(str, folder.iterdir()))


@pytest.fixture(scope='module')
def calibration(series, station):
    known = SkyCamera(**station.place._asdict(), time_format=FORMAT, timezone='UTC')
    return calibrate(files_of(series[0]), known)


@pytest.fixture(scope='module')
def written(calibration, tmp_path_factory):
    folder = tmp_path_factory.mktemp('camera')
    write_calibration(calibration, folder)
    return folder


def vectors(zenith, azimuth):
    z, a = np.radians(zenith), np.radians(azimuth)
    return np.stack([np.sin(z) * np.sin(a), np.sin(z) * np.cos(a), np.cos(z)], -1)


def test_directions_by_the_camera_file_are_those_of_the_rendered_camera(written, station, series):
    image = cv2.imread(files_of(series[0])[8])
    found = SkyCamera.load(written / 'camera.yaml').lens(image).directions(240, 240)
    true = Lens.from_dome(
        (240 / 2 * 1.02 - 0.5, 240 / 2 * 0.97 - 0.5),
        240 / 2 * 0.95,
        projection='equisolid',
        field_of_view=178,
        north=-30,
        tilt=3,
        tilt_azimuth=100,
    ).directions(240, 240)
    off = np.degrees(np.arccos(np.clip((vectors(*found) * vectors(*true)).sum(-1), -1, 1)))
    assert np.nanmax(off[true[0] < 80]) < 0.5
    assert np.nanmax(np.abs(found[0] - true[0])[true[0] < 80]) < 0.5


def test_north_tilt_and_lens_are_found_with_their_figures_of_merit(calibration):
    settings, record = calibration.settings, as_record(calibration)
    assert calibration.complete and not calibration.warnings
    assert (settings['projection'], settings['east']) == ('equisolid', 'left')
    assert settings['north'] == pytest.approx(330, abs=0.5)
    assert settings['tilt'] == pytest.approx(3, abs=0.5)
    assert settings['field_of_view'] == pytest.approx(178, abs=1)
    assert record['fit']['error'] < 0.5 and record['fit']['arc'] > 90
    assert {part['name'] for part in record['parts']} == {'dome', 'lens', 'north', 'tilt', 'mask'}
    assert all(value < 1 for value in record['fit']['uncertainty'].values())


def test_what_is_not_known_to_half_a_degree_is_called_uncertain(series, station, tmp_path):
    """Without a dome, and with few suns near the middle of the picture, a shift of the center looks like a tilt."""
    for file in files_of(series[0])[::2]:
        image = cv2.imread(file)
        cv2.imwrite(str(tmp_path / file.rpartition('/')[2]), image[31:201, 37:207])
    known = SkyCamera(**station.place._asdict(), time_format=FORMAT, timezone='UTC')
    found = calibrate(files_of(tmp_path), known, leaning=True)  # without a search for other times
    parts = {part['name']: part for part in as_record(found)['parts']}
    assert parts['tilt']['determined'] and not parts['tilt']['certain'] and not found.complete
    assert parts['north']['certain'] and 'uncertain: tilt known to' in parts['tilt']['merit']
    assert any('uncertain by more than 0.5 degrees: take more hours of sun' in words for words in found.warnings)
    assert found.settings['tilt'] == pytest.approx(3, abs=1)


def test_the_mask_has_the_size_of_the_pictures_and_hides_what_never_moves(written, series):
    mask = cv2.imread(str(written / 'mask.png'), cv2.IMREAD_UNCHANGED) > 127
    hidden = series[1]
    assert mask.shape == hidden.shape
    assert (mask & ~hidden).sum() / (mask | ~hidden).sum() > 0.95


def test_the_camera_file_is_yaml_with_the_figures_of_merit_as_comments(written):
    text = (written / 'camera.yaml').read_text()
    assert yaml.safe_load(text)['time_format'] == FORMAT
    for part in ('dome', 'lens', 'north', 'tilt', 'mask'):
        assert f'# {part}: ' in text
    figures = cv2.imread(str(written / 'camera.png'))
    assert figures.shape == (800, 1400, 3) and figures.std() > 20


def test_a_wrong_time_zone_is_named_and_nothing_is_guessed(series, station):
    known = SkyCamera(**station.place._asdict(), time_format=FORMAT, timezone='-03:00')
    found = calibrate(files_of(series[0]), known)
    assert {'north', 'east', 'tilt', 'projection', 'field_of_view'}.isdisjoint(found.settings)
    assert {'center', 'radius', 'mask'} <= found.settings.keys()
    assert '3 hours ahead of the time zone that was given' in found.warnings[0]


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(latitude=48.1, longitude=11.6), 'no picture has a time'),
        (dict(time_format=FORMAT), 'no place'),
    ],
)
def test_without_times_or_a_place_there_is_a_mask_but_no_north(series, settings, words):
    found = calibrate(files_of(series[0])[::2], SkyCamera(**settings))
    merits = {part.name: part.merit for part in found.parts}
    assert words in merits['north'] and 'north' not in found.settings
    assert 'radius' in found.settings and not found.complete


def test_pictures_of_another_size_and_broken_ones_are_refused_by_name(series, tmp_path):
    image = cv2.imread(files_of(series[0])[8])
    names = [tmp_path / f'{number}.png' for number in range(4)]
    for name in names[:2]:
        cv2.imwrite(str(name), image)
    cv2.imwrite(str(names[2]), image[::2, ::2])
    found = calibrate([str(name) for name in names[:3]], SkyCamera())
    assert found.pictures.refused == {str(names[2]): 'it has 120 x 120 pixels, and the first picture 240 x 240'}
    names[3].write_bytes(b'no picture')
    with pytest.raises(ValueError, match=r'1 of 1 pictures cannot be used.*3\.png'):
        calibrate([str(names[3])], SkyCamera())
