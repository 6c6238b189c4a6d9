"""Datasets of any vocabulary, here of streets."""

import numpy as np
import pytest
from PIL import Image

from hyperbolic_seg.datasets import VocabularyDataset, annotations, loading
from hyperbolic_seg.sky import GroundCloudDataset
from hyperbolic_seg.text import Concept, Vocabulary

PIPELINE = [dict(type=loading.LoadVerifiedImage), dict(type=annotations.LoadVocabularyAnnotations)]
STREET = Vocabulary(
    [Concept('road'), Concept('vehicle'), Concept('car', ('automobile',), ('vehicle',)), Concept('sun')]
)


@pytest.fixture
def root(tmp_path):
    """One image whose label file holds each id of the street once, and pixels to ignore."""
    for folder in ('images', 'masks'):
        (tmp_path / folder).mkdir()
    labels = np.array([[0, 1, 2, 3, 255]], np.uint8)
    Image.fromarray(labels).save(tmp_path / 'masks' / 'a.png')
    Image.fromarray(np.zeros((1, 5, 3), np.uint8)).save(tmp_path / 'images' / 'a.jpg')
    return tmp_path


def labels_of(root, kind=VocabularyDataset, **options):
    return kind(data_root=str(root), pipeline=PIPELINE, **options)[0]['gt_seg_map'][0].tolist()


@pytest.mark.parametrize(
    'classes, expected',
    [
        (None, [0, 1, 2, 3, 255]),
        (['vehicle', 'road'], [1, 0, 0, 255, 255]),
        (['car'], [255, 255, 0, 255, 255]),
    ],
)
def test_a_label_counts_for_its_nearest_ancestor(root, classes, expected):
    metainfo = None if classes is None else dict(classes=classes)
    assert labels_of(root, vocabulary=STREET, metainfo=metainfo) == expected


def test_names_are_not_completed_by_default(root):
    names = ['road', 'cumulus', 'Cu', 'sun']
    plain = VocabularyDataset(data_root=str(root), vocabulary=names, pipeline=PIPELINE)
    assert list(plain.vocabulary) == [Concept(name) for name in names]
    with pytest.raises(TypeError, match='vocabulary'):
        VocabularyDataset(data_root=str(root), pipeline=PIPELINE)


def test_names_of_the_sky_are_completed_by_its_words(root):
    names = ['clear sky', 'cloud', 'Cu', 'letterbox']
    dataset = GroundCloudDataset(data_root=str(root), vocabulary=names, pipeline=PIPELINE)
    assert dataset.vocabulary[2].lineage == ('cumulus', 'low cloud', 'cloud', 'everything')
    assert dataset.vocabulary[3] == Concept('letterbox')
    assert labels_of(root, GroundCloudDataset, vocabulary=names, metainfo=dict(classes=['cloud'])) == [
        255, 0, 0, 255, 255,
    ]  # fmt: skip
