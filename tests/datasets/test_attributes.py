import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose

from hyperbolic_seg.datasets import LoadAttributes, VocabularyDataset
from hyperbolic_seg.models import AttributeLoss
from hyperbolic_seg.sky import ProceduralSkyDataset
from hyperbolic_seg.sky.renderer import render_sky
from hyperbolic_seg.text import Vocabulary

VALUES = {'thickness': ('thin', 'thick', 'opaque'), 'brightness': ('white', 'dark')}
CHANGES = [
    dict(type='RandomResize', scale=(64, 64), ratio_range=(1.2, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(48, 48)),
    dict(type='RandomFlip', prob=1.0),
    dict(type='PackAttributes'),
]


@pytest.fixture
def folder(tmp_path):
    """Make a set of one image, whose attributes are its labels and one."""
    for name, values in (('images', np.zeros((40, 60, 3))), ('masks', np.arange(2400).reshape(40, 60) % 20)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'a.png'), values.astype(np.uint8))
    (tmp_path / 'attributes').mkdir()
    cv2.imwrite(str(tmp_path / 'attributes/a.png'), (np.arange(2400).reshape(40, 60) % 20 + 1).astype(np.uint8))
    return tmp_path


def dataset(folder, steps=()):
    prefix = dict(img_path='images', seg_map_path='masks', attributes_path='attributes')
    load = [dict(type=name) for name in ('LoadVerifiedImage', 'LoadVocabularyAnnotations', 'LoadAttributes')]
    return VocabularyDataset(
        vocabulary='sky', data_root=str(folder), data_prefix=prefix, img_suffix='.png', pipeline=[*load, *steps]
    )


def test_attributes_follow_the_labels_through_every_transform(folder):
    sample = dataset(folder, CHANGES)[0]['data_samples']
    labels, attributes = sample.gt_sem_seg.data, sample.gt_attributes.data
    assert attributes.dtype == torch.int64 and attributes.shape == (1, 48, 48)
    assert (attributes == labels + 1).all() and len(labels.unique()) > 10


def test_a_missing_file_is_named(folder):
    (folder / 'attributes/a.png').unlink()
    with pytest.raises(FileNotFoundError, match='1 of 3 files of the split are missing: .*attributes/a.png'):
        dataset(folder)


def test_attributes_of_another_size_or_depth_are_refused(folder):
    narrow, deep = np.zeros((40, 59), np.uint8), np.zeros((40, 60), np.uint16)
    for values, message in ((narrow, r'uint8 of \(40, 59\)'), (deep, 'uint16')):
        cv2.imwrite(str(folder / 'attributes/a.png'), values)
        with pytest.raises(ValueError, match=message):
            dataset(folder)[0]


def test_images_without_attributes_are_refused():
    with pytest.raises(KeyError, match='a.png has no attributes: set attributes_path'):
        LoadAttributes()(dict(img_path='a.png', gt_seg_map=np.zeros((4, 4), np.uint8), seg_fields=[]))


def test_rendered_skies_have_theirs():
    steps = [dict(type='LoadVerifiedImage'), dict(type='LoadVocabularyAnnotations'), dict(type='LoadAttributes')]
    sample = ProceduralSkyDataset(1, first_seed=3, image_size=48, pipeline=steps)[0]
    np.testing.assert_array_equal(sample['gt_attributes'], render_sky(3, 48).attributes)


def test_images_without_them_can_be_packed_beside_others():
    sample = dict(img=np.zeros((4, 4, 3), np.uint8), gt_seg_map=np.zeros((4, 4)))
    packed = Compose([dict(type='PackAttributes')])(sample)
    assert 'gt_attributes' not in packed['data_samples']


def test_the_loss_is_the_likelihood_of_what_is_possible():
    torch.manual_seed(0)
    scores = torch.randn(1, 5, 1, 4, dtype=torch.double, requires_grad=True)
    label = torch.tensor([[[1, 6, 0, 8 + 7]]])  # thin; thick or opaque; nothing; white, and any thickness
    thickness, brightness = scores[0, :3, 0].softmax(0), scores[0, 3:, 0].softmax(0)
    expected = -(thickness[0, 0].log() + thickness[1:, 1].sum().log()) / 2 - brightness[0, 3].log()
    loss = AttributeLoss(VALUES, loss_weight=0.5)(scores, label)
    torch.testing.assert_close(loss, 0.5 * expected, check_dtype=False)
    loss.backward()
    assert scores.grad.isfinite().all() and (scores.grad[..., 2] == 0).all()


def test_nothing_told_is_no_loss():
    scores = torch.randn(2, 5, 3, 3, requires_grad=True)
    loss = AttributeLoss(VALUES)(scores, torch.zeros(2, 3, 3, dtype=torch.long))
    loss.backward()
    assert loss == 0 and (scores.grad == 0).all()


def test_labels_beyond_the_values_are_refused():
    with pytest.raises(ValueError, match='from 0 to 32: expected a bit for each of 5 values'):
        AttributeLoss(VALUES)(torch.zeros(1, 5, 1, 2), torch.tensor([[[0, 32]]]))
    with pytest.raises(ValueError, match='for labels .* of 5 values'):
        AttributeLoss(VALUES)(torch.zeros(1, 4, 1, 2), torch.zeros(1, 1, 2, dtype=torch.long))


def test_the_bits_of_rendered_skies_are_the_places_in_the_vocabulary():
    from hyperbolic_seg.sky.renderer import Appearance

    names = [value for values in Vocabulary.load('sky').attributes.values() for value in values]
    assert [value.name.lower() for value in Appearance] == names
