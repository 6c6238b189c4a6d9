"""COCO-Object from label files of COCO-Stuff."""

import cv2
import numpy as np
import pytest

from hyperbolic_seg.datasets import VocabularyDataset
from hyperbolic_seg.text import Vocabulary
from tests import processes

# Category ids of COCO by name, from the category list of its annotations.
CATEGORIES = {'person': 1, 'fire hydrant': 11, 'stop sign': 13, 'bench': 15, 'backpack': 27, 'bottle': 44}
CATEGORIES |= {'dining table': 67, 'toilet': 70, 'tv': 72, 'book': 84, 'toothbrush': 90}


@pytest.fixture
def source(tmp_path):
    """Two images: every category of the list above, then stuff and unlabeled pixels."""
    root = tmp_path / 'stuff'
    labels = {'one': np.array([[n - 1 for n in CATEGORIES.values()]], np.uint8), 'two': np.uint8([[91, 181, 255, 0]])}
    for part in ('images', 'annotations'):
        (root / part / 'val2017').mkdir(parents=True)
    for stem, label in labels.items():
        image = np.zeros((*label.shape, 3), np.uint8)
        assert cv2.imwrite(str(root / 'images' / 'val2017' / f'{stem}.jpg'), image)
        assert cv2.imwrite(str(root / 'annotations' / 'val2017' / f'{stem}.png'), label)
        assert cv2.imwrite(str(root / 'annotations' / 'val2017' / f'{stem}_labelTrainIds.png'), label)
    return root


def run(repository, *arguments):
    script = repository / 'tools' / 'dataset_converters' / 'coco_object.py'
    return processes.run(script, *arguments, cwd=repository)


def test_things_have_the_ids_of_the_vocabulary_and_all_else_is_background(repository, source, tmp_path):
    done = run(repository, source, tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    names = Vocabulary.load('sclip_coco_object').names
    found = cv2.imread(str(tmp_path / 'out' / 'masks' / 'one.png'), cv2.IMREAD_UNCHANGED)
    assert [names[label] for label in found[0]] == list(CATEGORIES)
    other = cv2.imread(str(tmp_path / 'out' / 'masks' / 'two.png'), cv2.IMREAD_UNCHANGED)
    assert other.tolist() == [[0, 0, 0, 1]]
    dataset = VocabularyDataset(
        ann_file='splits/val.txt', vocabulary='sclip_coco_object', data_root=str(tmp_path / 'out'), pipeline=[]
    )
    assert len(dataset) == 2 and dataset.metainfo['classes'] == names


def test_a_split_has_the_name_of_its_folder(repository, source, tmp_path):
    for part in ('images', 'annotations'):
        (source / part / 'val2017').rename(source / part / 'train2017')
    done = run(repository, source, tmp_path / 'out', '--split', 'train2017')
    assert done.returncode == 0, done.stderr
    splits = list((tmp_path / 'out' / 'splits').iterdir())
    assert [path.name for path in splits] == ['train.txt'] and splits[0].read_text() == 'one\ntwo\n'


def test_what_is_no_label_file_is_refused_by_name(repository, source, tmp_path):
    path = source / 'annotations' / 'val2017' / 'two.png'
    assert cv2.imwrite(str(path), np.uint8([[200]]))
    done = run(repository, source, tmp_path / 'out')
    assert done.returncode == 1 and 'refused two: 200 is no category' in done.stdout
    assert (tmp_path / 'out' / 'splits' / 'val.txt').read_text() == 'one\n'
    empty = run(repository, tmp_path, tmp_path / 'other')
    assert empty.returncode == 2 and 'no label files in' in empty.stderr
