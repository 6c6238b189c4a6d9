"""Masks and clicks for an adaptation, and what is wrong with them."""

import cv2
import numpy as np
import pytest

from hyperbolic_seg.app.labels import mask_of_clicks, masks_of, read_clicks, read_mask

FILES = ['days/a.jpg', 'days/b.jpg', 'days/c.jpg']


def test_masks_go_with_pictures_by_their_name(tmp_path):
    good = np.array([[0, 1], [255, 1], [0, 0]], np.uint8)
    assert cv2.imwrite(str(tmp_path / 'b.png'), good)
    assert masks_of(FILES, tmp_path) == {'days/b.jpg': tmp_path / 'b.png'}
    assert np.array_equal(read_mask(tmp_path / 'b.png', (3, 2)), good)
    with pytest.raises(ValueError, match=r'of shape \(3, 2\): expected one channel and the size \(2, 3\)'):
        read_mask(tmp_path / 'b.png', (2, 3))
    assert cv2.imwrite(str(tmp_path / 'b.png'), good * 128)
    with pytest.raises(ValueError, match='has the value 127|has the value 128'):
        read_mask(tmp_path / 'b.png', (3, 2))
    (tmp_path / 'b.png').write_bytes(b'none')
    with pytest.raises(ValueError, match='is no image'):
        read_mask(tmp_path / 'b.png', (3, 2))
    with pytest.raises(ValueError, match='the mask of two pictures'):
        masks_of([*FILES, 'nights/b.jpg'], tmp_path)
    with pytest.raises(ValueError, match='has no mask NAME.png of any of the 2 pictures'):
        masks_of(['a.jpg', 'c.jpg'], tmp_path)


def test_clicks_are_pixels_with_a_word_for_sky_or_cloud(tmp_path):
    table = tmp_path / 'clicks.csv'
    table.write_text('picture,x,y,prompt\nb.jpg,2,1,cumulus\nb.jpg,0.9,0,clear sky\na.jpg,1,0,Cu\n')
    found = read_clicks(table, FILES)
    assert sorted(found) == ['days/a.jpg', 'days/b.jpg']
    mask = mask_of_clicks(found['days/b.jpg'], (2, 3), 'b.jpg')
    assert np.array_equal(mask, [[0, 255, 255], [255, 255, 1]])
    with pytest.raises(ValueError, match='a click at x 2, y 1 is beside b.jpg, which has 2 times 2 pixels'):
        mask_of_clicks(found['days/b.jpg'], (2, 2), 'b.jpg')


@pytest.mark.parametrize(
    'text, why',
    [
        ('picture,x,prompt\na.jpg,1,cloud', 'lacks y: expected'),
        ('picture,x,y,prompt\n', 'has no clicks'),
        ('picture,x,y,prompt\nd.jpg,1,1,cloud', 'line 2: d.jpg is none of the pictures'),
        ('picture,x,y,prompt\na.jpg,1,1,cloud\na.jpg,left,1,cloud', "line 3: x 'left'"),
        ('picture,x,y,prompt\na.jpg,1,1,tree', 'is neither clear sky nor cloud'),
        ('picture,x,y,prompt\na.jpg,1,1,', 'is neither clear sky nor cloud'),
        ('picture,x,y,prompt\na.jpg,1,1,everything', 'is neither clear sky nor cloud'),
    ],
)
def test_what_is_no_click_is_refused(tmp_path, text, why):
    table = tmp_path / 'clicks.csv'
    table.write_text(text)
    with pytest.raises(ValueError, match=why):
        read_clicks(table, FILES)


def test_clicks_need_distinct_names(tmp_path):
    table = tmp_path / 'clicks.csv'
    table.write_text('picture,x,y,prompt\na.jpg,1,1,cloud')
    with pytest.raises(ValueError, match='4 pictures have 3 names'):
        read_clicks(table, [*FILES, 'nights/a.jpg'])
