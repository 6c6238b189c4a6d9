"""Keograms, of skies whose meridian is known."""

from datetime import datetime, timedelta, timezone

import cv2
import numpy as np
import pytest

from hyperbolic_seg.sky.camera import SkyCamera, draw_keogram, meridian, runs_of

DOME = dict(center=(100.0, 90.0), radius=90.0, image_size=(200, 180))
MORNING = datetime(2026, 11, 27, 6, tzinfo=timezone.utc)
PALETTE = dict(clear=(0, 0, 255), cloud=(255, 0, 0))


def rings():
    """The zenith angle of each pixel in degrees, in the half to the upper edge; 200 in the other half."""
    rows, columns = np.mgrid[:180, :200]
    return np.where(rows <= 90, np.rint(np.hypot(rows - 90, columns - 100)), 200).astype(np.uint8)


def test_the_meridian_goes_from_south_through_the_zenith_to_north():
    """An equidistant dome with a radius of 90 pixels has a degree in each."""
    found = meridian(rings(), SkyCamera(**DOME, zenith_limit=60))
    assert found.tolist() == [200] * 60 + list(range(61))
    assert meridian(rings(), SkyCamera(**DOME, zenith_limit=60, east='right')).tolist() == found.tolist()


def test_the_meridian_follows_north():
    labels = np.repeat(np.arange(200, dtype=np.uint8)[None], 180, axis=0)
    found = meridian(labels, SkyCamera(**DOME, north=90, zenith_limit=60))
    assert found.tolist() == list(range(40, 161)), 'north is right, a degree a column'


def test_images_of_another_size_are_scaled():
    small = cv2.resize(rings(), (100, 90), interpolation=cv2.INTER_NEAREST)
    found = meridian(small, SkyCamera(**DOME, zenith_limit=60))
    assert np.abs(found[61:] - np.arange(1, 61)).max() <= 3 and len(found) == 121
    with pytest.raises(ValueError, match='another shape'):
        meridian(rings()[:100], SkyCamera(**DOME))


def test_what_the_mask_hides_is_not_known(tmp_path):
    seen = np.full((180, 200), 255, np.uint8)
    seen[:60] = 0
    cv2.imwrite(str(tmp_path / 'mask.png'), seen)
    found = meridian(rings(), SkyCamera(**DOME, mask=str(tmp_path / 'mask.png'), zenith_limit=60))
    assert found[60:].tolist() == [*range(31), *[-1] * 30]


def test_a_camera_without_a_dome_has_no_meridian():
    with pytest.raises(ValueError, match='needs center and radius of the dome, or a calibration'):
        meridian(rings(), SkyCamera())


def test_runs_have_names():
    assert runs_of(np.array([-1, 0, 0, 1, 0]), ['clear', 'cloud']) == [
        (None, 1),
        ('clear', 2),
        ('cloud', 1),
        ('clear', 1),
    ]


def pixels(figure):
    (shown,) = figure.axes[0].get_images()
    return np.asarray(shown.get_array())


def test_columns_are_at_their_times_and_gaps_are_empty():
    """Three images ten minutes apart, and one three hours later; a column of the picture is 30 seconds."""
    columns = {MORNING + timedelta(minutes=minutes): [('clear', 2), ('cloud', 3)] for minutes in (0, 10, 20, 200)}
    found = pixels(draw_keogram(columns, '2026-11-27', PALETTE))
    assert found.shape == (5, 2880, 4)
    filled = np.flatnonzero(found[0, :, 3])
    since = np.flatnonzero(np.diff(filled) > 1)
    assert filled[0] == 2 * (6 * 60 - 5) and filled[since[0]] == 2 * (6 * 60 + 25) - 1 and len(since) == 1
    assert filled[since[0] + 1] == 2 * (6 * 60 + 195) and filled[-1] == 2 * (6 * 60 + 205) - 1
    assert found[0, filled[0], :3].tolist() == [0, 0, 255] and found[-1, filled[0], :3].tolist() == [255, 0, 0]


def test_classes_without_a_color_are_named_too():
    figure = draw_keogram({MORNING: [('clear', 2), ('fog', 2), (None, 1)]}, '2026-11-27', PALETTE)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        'clear',
        'fog',
        'hidden',
        'no labels',
    ]
    with pytest.raises(ValueError, match='at least one image'):
        draw_keogram({}, '2026-11-27', PALETTE)
