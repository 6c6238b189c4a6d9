"""The resizing of the published test pipeline beside that of detectron2."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import TRANSFORMS

from tests.parity.models import record


@pytest.fixture(scope='module')
def numbers(parity_folder):
    return record(parity_folder, 'resize_record')[0]


def resized(image, scale):
    step = TRANSFORMS.build(dict(type='Resize', scale=scale, keep_ratio=True, backend='pillow'))
    return step(dict(img=image, img_shape=image.shape[:2]))['img']


@pytest.mark.parametrize('name', ['down', 'up', 'long'])
def test_pixels_are_those_of_detectron2(numbers, name):
    short, longest = numbers[f'{name}.short_longest'].tolist()
    found = resized(numbers[f'{name}.picture'].numpy(), (longest, short))
    assert torch.equal(torch.from_numpy(found), numbers[f'{name}.resized'])


def test_sizes_are_those_of_detectron2(numbers, repository):
    cfg = Config.fromfile(repository / 'configs/hyperclip/hyperclip_vitb16_384_ade150.py')
    (resize,) = [step for step in cfg.test_dataloader.dataset.pipeline if step.type == 'Resize']
    sizes = zip(numbers['sizes.original'].tolist(), numbers['sizes.resized_640_2560'].tolist(), strict=True)
    for original, expected in sizes:
        found = resized(np.zeros((*original, 3), np.uint8), resize.scale)
        assert list(found.shape[:2]) == expected
