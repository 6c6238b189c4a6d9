"""ADE20K, Cityscapes and SkyFinder as sky against not sky, from files in their layouts."""

import csv
import importlib
import sys

import cv2
import numpy as np
import pytest
from torchvision.datasets import Cityscapes

from hyperbolic_seg.sky import GroundCloudDataset
from hyperbolic_seg.text import Vocabulary
from tests import processes

SKY = Vocabulary.load('sky')
ANY_SKY = 125
PIPELINE = [dict(type='LoadVerifiedImage'), dict(type='LoadVocabularyAnnotations')]


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)


def image(labels):
    return np.random.default_rng(0).integers(0, 256, (*labels.shape, 3), np.uint8)


def run(repository, name, *arguments, code=0):
    script = repository / 'tools' / 'dataset_converters' / f'{name}.py'
    done = processes.run(script, *arguments, cwd=repository)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def named(path):
    """The labels of the first row of a file, by name; -1 and 255 as they are."""
    row = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[0].tolist()
    return [SKY[label].name if label < len(SKY) else label for label in row]


@pytest.fixture
def load(repository, monkeypatch):
    def load_module(name):
        monkeypatch.syspath_prepend(str(repository / 'tools' / 'dataset_converters'))
        for module in ('nodes', 'images', 'errors', 'label_sets', 'writing', name):
            sys.modules.pop(module, None)
        return importlib.import_module(name)

    return load_module


def test_ids_are_those_of_the_vocabulary(load):
    nodes = load('nodes')
    for name, place in vars(nodes).items():
        if name.isupper() and name != 'SKY':
            assert SKY.index_of(name.lower().replace('_', ' ')) == place
    assert {each.id: set(each.members) for each in SKY.label_sets}[nodes.SKY] == {'clear sky', 'cloud', 'sun', 'moon'}


def test_classes_of_ade20k_have_their_numbers(load):
    names = Vocabulary.load('ade20k').names
    for classes in load('ade20k_sky').KINDS.values():
        assert all(names[number - 1] == name for number, name in classes.items())


def test_labels_of_cityscapes_have_their_numbers(load):
    converter = load('cityscapes_sky')
    found = {number: name for labels in converter.KINDS.values() for number, name in labels.items()}
    assert found == {each.id: each.name for each in Cityscapes.classes if each.id >= 0}
    ignored = {each.name for each in Cityscapes.classes if each.category == 'void' and each.id < 4 and each.id >= 0}
    assert set(converter.KINDS[255].values()) == ignored


def test_ade20k_keeps_pictures_with_sky(repository, tmp_path):
    source, out = tmp_path / 'ade', tmp_path / 'out'
    labels = np.repeat(np.uint8([[3, 2, 5, 17, 94, 13, 0]]), 4, 0)  # sky, building, tree, mountain, pole, person, other
    for side, stem, mask in (
        ('training', 'ADE_train_1', labels),
        ('training', 'ADE_train_2', np.full((4, 7), 1, np.uint8)),
        ('validation', 'ADE_val_1', labels),
        ('validation', 'ADE_val_2', labels[:, :5]),
    ):
        write(source / 'annotations' / side / f'{stem}.png', mask)
        write(source / 'images' / side / f'{stem}.jpg', image(labels))
    done = run(repository, 'ade20k_sky', source, out, code=1)
    assert '1 pictures of training without sky left out' in done.stdout
    assert 'refused ADE_val_2: the image has (4, 7) pixels, its labels (4, 5)' in done.stdout
    expected = [ANY_SKY, 'building', 'tree', 'terrain', 'structure', 'obstruction', 255]
    assert named(out / 'masks' / 'ADE_train_1.png') == expected
    assert (out / 'splits' / 'train.txt').read_text() == 'ADE_train_1\n'
    assert (out / 'splits' / 'val.txt').read_text() == 'ADE_val_1\n'
    original = source / 'images' / 'training' / 'ADE_train_1.jpg'
    assert (out / 'images' / 'ADE_train_1.jpg').read_bytes() == original.read_bytes()
    dataset = GroundCloudDataset(
        'splits/train.txt', data_root=str(out), vocabulary='sky', pipeline=PIPELINE, img_suffix='.jpg'
    )
    assert dataset[0]['gt_seg_map'][0].tolist() == [ANY_SKY, 22, 23, 24, 25, 18, 255]
    done = run(repository, 'ade20k_sky', tmp_path, tmp_path / 'none', code=2)
    assert 'no annotations in' in done.stderr


def test_cityscapes_is_scaled_and_divided_by_city(repository, tmp_path):
    source, out = tmp_path / 'cityscapes', tmp_path / 'out'
    labels = np.repeat(np.repeat(np.uint8([[23, 11, 21, 22, 17, 26, 1, 7]]), 2, 1), 8, 0)
    for side, city in (('train', 'aachen'), ('val', 'munster')):
        stem = f'{city}_000000_000019'
        write(source / 'gtFine' / side / city / f'{stem}_gtFine_labelIds.png', labels)
        write(source / 'gtFine' / side / city / f'{stem}_gtFine_instanceIds.png', labels)
        write(source / 'leftImg8bit' / side / city / f'{stem}_leftImg8bit.png', image(labels))
    run(repository, 'cityscapes_sky', source, out, '--size', 8)
    expected = [ANY_SKY, 'building', 'tree', 'terrain', 'structure', 'obstruction', 255, 'terrain']
    assert named(out / 'masks' / 'aachen_000000_000019.png') == expected
    assert cv2.imread(str(out / 'images' / 'munster_000000_000019.png')).shape == (4, 8, 3)
    for side, city in (('train', 'aachen'), ('val', 'munster')):
        assert (out / 'splits' / f'{side}.txt').read_text() == f'{city}_000000_000019\n'
    (source / 'leftImg8bit' / 'val' / 'munster' / 'munster_000000_000019_leftImg8bit.png').unlink()
    done = run(repository, 'cityscapes_sky', source, tmp_path / 'again', code=1)
    assert 'refused munster_000000_000019: munster_000000_000019_leftImg8bit.png cannot be read' in done.stdout


@pytest.mark.parametrize('folder', ['.', 'images'])
def test_cameras_of_skyfinder_are_not_divided(repository, tmp_path, folder):
    source, out = tmp_path / 'skyfinder', tmp_path / 'out'
    mask = np.repeat(np.uint8([[255, 255, 0, 0]]), 4, 0)
    for camera in (65, 75, 162, 623, 858):
        write(source / 'masks' / f'{camera}.png', mask)
        for hour in range(3):
            write(source / folder / str(camera) / f'20130724_{hour:02d}1539.jpg', image(mask) + camera % 7 * hour)
    write(source / folder / '999' / '20130724_001539.jpg', image(mask))
    write(source / folder / '65' / '20130724_091539.jpg', image(mask[:2]))
    done = run(repository, 'skyfinder', source, out, code=1)
    assert 'refused 999_20130724_001539 (20130724_001539.jpg): there is no mask masks/999.png' in done.stdout
    assert 'refused 65_20130724_091539 (20130724_091539.jpg): image and mask differ in size' in done.stdout
    assert named(out / 'masks' / '65_20130724_001539.png') == [ANY_SKY, ANY_SKY, 'obstruction', 'obstruction']
    with (out / 'conversion.csv').open(newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['status'] == 'converted']
    assert len(rows) == 15 and {row['split'] for row in rows} == {'train', 'val'}
    assert len({(row['group'], row['split']) for row in rows}) == 5
