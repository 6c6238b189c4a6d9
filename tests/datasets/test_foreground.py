import cv2
import numpy as np
import pytest

from hyperbolic_seg.datasets import PasteForeground

BUILDING, CUMULUS, WHOLE = 22, 13, 128


@pytest.fixture
def donors(tmp_path):
    """Make a donor of 32 x 32 pixels: a red house in its upper left quarter, in front of a green sky."""
    (tmp_path / 'images').mkdir()
    (tmp_path / 'masks').mkdir()
    image, mask = np.full((32, 32, 3), (0, 200, 0), np.uint8), np.full((32, 32), CUMULUS, np.uint8)
    image[:16, :16], mask[:16, :16] = (0, 0, 250), BUILDING
    cv2.imwrite(str(tmp_path / 'images/0.png'), image)
    cv2.imwrite(str(tmp_path / 'masks/0.png'), mask)
    return tmp_path


def paste(transform, labels):
    return transform(dict(img=np.full((64, 64, 3), 90, np.uint8), gt_seg_map=labels, ignore_index=255))


def test_a_house_stands_in_front_of_another_sky(donors):
    transform = PasteForeground([str(donors)], ids=[BUILDING], prob=1.0)
    corners = set()
    for seed in range(12):
        np.random.seed(seed)
        result = paste(transform, np.full((64, 64), WHOLE + CUMULUS, np.uint8))
        house = result['gt_seg_map'] == BUILDING
        assert house.sum() == 32 * 32 and (result['gt_seg_map'][~house] == WHOLE + CUMULUS).all()
        inside = cv2.erode(house.astype(np.uint8), np.ones((9, 9))) > 0
        outside = cv2.dilate(house.astype(np.uint8), np.ones((9, 9))) == 0
        assert (result['img'][inside] == (0, 0, 250)).all() and (result['img'][outside] == 90).all()
        corners.add(tuple(np.argwhere(house)[0]))
    assert corners == {(0, 0), (0, 32), (32, 0), (32, 32)}


def test_ignored_pixels_stay(donors):
    labels = np.full((64, 64), 255, np.uint8)
    labels[:, 20:44] = 0
    np.random.seed(0)
    result = paste(PasteForeground([str(donors)], ids=[BUILDING], prob=1.0), labels)
    assert (result['gt_seg_map'][labels == 255] == 255).all() and (result['gt_seg_map'] == BUILDING).sum() == 12 * 32
    assert (result['img'][:, :16] == 90).all()


def test_the_probability_is_kept(donors):
    np.random.seed(0)
    transform = PasteForeground([str(donors)], ids=[BUILDING], prob=0.25)
    changed = [(paste(transform, np.zeros((64, 64), np.uint8))['gt_seg_map'] > 0).any() for _ in range(400)]
    assert 0.18 < np.mean(changed) < 0.32


def test_wrong_options_and_donors_are_named(donors):
    with pytest.raises(FileNotFoundError, match='nowhere/masks holds no PNG files'):
        PasteForeground([str(donors / 'nowhere')], ids=[BUILDING])
    with pytest.raises(ValueError, match=r'ids=\[255\]: expected some labels from 0 to 254'):
        PasteForeground([str(donors)], ids=[255])
    with pytest.raises(ValueError, match='prob'):
        PasteForeground([str(donors)], ids=[BUILDING], prob=2)
    cv2.imwrite(str(donors / 'masks/0.png'), np.zeros((8, 8), np.uint8))
    with pytest.raises(ValueError, match=r'0\.png is no mask of one channel of the size of'):
        paste(PasteForeground([str(donors)], ids=[BUILDING], prob=1.0), np.zeros((64, 64), np.uint8))
