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


OPEN = Vocabulary(list(STREET), sets=[['road', 'vehicle'], ['car', 'sun']])


@pytest.mark.parametrize(
    'classes, expected',
    [
        (None, [126, 3, 0, 125, 255]),
        (['vehicle', 'road', 'sun'], [255, 2, 1, 255, 255]),
        (['vehicle'], [255, 255, 255, 255, 255]),
    ],
)
def test_values_may_leave_open_what_they_are(root, classes, expected):
    meaning = {0: ['vehicle', 'Road'], 1: 'sun', 2: 'road', 3: ['sun', 'car']}
    metainfo = None if classes is None else dict(classes=classes)
    assert labels_of(root, vocabulary=OPEN, meaning=meaning, metainfo=metainfo) == expected


def test_a_set_whose_members_count_as_one_class_is_that_class(root):
    words = Vocabulary([*STREET, Concept('bus', ancestors=('vehicle',))], sets=[['car', 'bus']])
    meaning = {value: ['bus', 'car'] for value in range(4)}
    options = dict(vocabulary=words, meaning=meaning, metainfo=dict(classes=['road', 'vehicle']))
    assert labels_of(root, **options) == [1, 1, 1, 1, 255]


def test_metrics_are_told_of_the_sets(root):
    dataset = VocabularyDataset(data_root=str(root), vocabulary=OPEN, pipeline=PIPELINE)
    assert dataset.metainfo['label_sets'][0] == dict(id=126, name='road or vehicle', inside=[0, 1, 2], partly=[])
    assert dataset.metainfo['label_sets'][1] == dict(id=125, name='car or sun', inside=[2, 3], partly=[1])
    selected = dict(classes=['road', 'car'])
    assert 'label_sets' not in VocabularyDataset(data_root=str(root), vocabulary=OPEN, metainfo=selected).metainfo


def test_meanings_that_no_vocabulary_has_are_refused(root):
    for meaning, message in (
        ({0: ['car', 'road']}, "no label set of the vocabulary, which has .*'road', 'vehicle'.*: add it to \"sets\""),
        ({0: 'dragon'}, "'dragon' is not in the vocabulary"),
    ):
        with pytest.raises(ValueError, match=message):
            labels_of(root, vocabulary=OPEN, meaning=meaning)
    with pytest.raises(ValueError, match=r'holds the values \[2, 3\]: expected class ids 0 to 1, or 255 to ignore'):
        labels_of(root, vocabulary=OPEN, meaning={0: 'road', 1: 'sun'})
    Image.fromarray(np.array([[0, 125, 126, 9, 255]], np.uint8)).save(root / 'masks' / 'a.png')
    with pytest.raises(ValueError, match=r'holds the values \[9\]: expected class ids 0 to 3, 125 to 126, or 255'):
        labels_of(root, vocabulary=OPEN)
