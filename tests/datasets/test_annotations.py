import numpy as np
import pytest
from mmseg.registry import TRANSFORMS

from hyperbolic_seg.text import WHOLE_IMAGE


def test_labels_of_whole_images_are_marked():
    transform = TRANSFORMS.build(dict(type='LabelWholeImages'))
    results = transform(dict(gt_seg_map=np.array([[5, 5], [255, 13]], np.uint8), ignore_index=255))
    assert results['gt_seg_map'].tolist() == [[WHOLE_IMAGE + 5, WHOLE_IMAGE + 5], [255, WHOLE_IMAGE + 13]]
    assert results['gt_seg_map'].dtype == np.uint8
    for dtype in (np.uint8, np.int64):
        with pytest.raises(ValueError, match='mask.png has ids up to 130: expected less than 127'):
            transform(dict(gt_seg_map=np.array([[130]], dtype), seg_map_path='mask.png'))


def test_labels_of_16_bits_are_refused():
    transform = TRANSFORMS.build(dict(type='LabelWholeImages'))
    with pytest.raises(ValueError, match='8 bits, ignore_index is 65535'):
        transform(dict(gt_seg_map=np.array([[3, 65535]], np.int64), ignore_index=65535))
