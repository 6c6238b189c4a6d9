"""The splits of the development sets keep together what belongs together."""

import csv
import re
import shutil
import sys

import cv2
import numpy as np
import pytest

SETS = {'swimseg': (621, 155), 'swinseg': (87, 7), 'wsiseg': (278, 69), 'ccsn': (1430, 341)}


@pytest.fixture
def development(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    sys.modules.pop('development', None)
    import development

    return development


def read(repository, name):
    folder = repository / 'tools' / 'benchmarks' / 'splits' / name
    return [(folder / f'{side}.txt').read_text().split() for side in ('train', 'val')]


@pytest.mark.parametrize('name', SETS)
def test_every_image_is_on_one_side(repository, name):
    train, val = read(repository, name)
    assert not set(train) & set(val)
    assert (len(set(train)), len(set(val))) == (len(train), len(val)) == SETS[name]


@pytest.mark.parametrize('name, table', [('SWIMSEG', 'metadata.csv'), ('SWINSEG', 'metadata.txt')])
def test_capture_days_are_not_divided(repository, real_data, name, table):
    path = real_data / 'original_layout' / name / table if name == 'SWINSEG' else real_data / 'swimseg' / table
    lines = csv.reader(path.open(), delimiter='\t' if name == 'SWINSEG' else ',')
    days = {int(line[0]): line[1].strip() for line in lines if line[0].strip().isdecimal()}
    train, val = ({days[int(stem)] for stem in stems} for stems in read(repository, name.lower()))
    assert train and val and not train & val


def test_consecutive_images_stay_together(repository):
    blocks = [{int(re.findall(r'\d+', stem)[-1]) // 20 for stem in stems} for stems in read(repository, 'wsiseg')]
    assert not blocks[0] & blocks[1]


def test_every_genus_is_on_both_sides(repository):
    train, val = ({stem.split('-')[0] for stem in stems} for stems in read(repository, 'ccsn'))
    assert train == val and len(val) == 11


def test_no_image_is_on_both_sides_under_two_names(repository, real_data):
    """Small gray versions, compared in another way than for the splits."""
    sides = []
    for stems in read(repository, 'ccsn'):
        paths = [next((real_data / 'ccsn').glob(f'*/{stem}.jpg')) for stem in stems]
        small = [cv2.resize(cv2.imread(str(path), 0), (9, 9), interpolation=cv2.INTER_AREA) for path in paths]
        sides.append(np.stack(small).reshape(len(small), -1).astype(np.float32))
    nearest = [np.abs(sides[0] - image).max(1).min() for image in sides[1]]
    assert min(nearest) > 8, 'gray levels, of 255'


@pytest.fixture
def sources(real_data, tmp_path):
    """The sets with SWINSEG's table of days, which lies elsewhere in the data."""
    for name in SETS:
        (tmp_path / name).mkdir()
        for part in (real_data / name).iterdir():
            (tmp_path / name / part.name).symlink_to(part)
    (tmp_path / 'swinseg' / 'metadata.txt').symlink_to(real_data / 'original_layout' / 'SWINSEG' / 'metadata.txt')
    return tmp_path


def test_the_script_reproduces_the_splits(development, repository, sources, tmp_path, monkeypatch):
    shutil.copytree(development.SPLITS, tmp_path / 'splits')
    monkeypatch.setattr(development, 'SPLITS', tmp_path / 'splits')
    development.write_splits(sources)
    for name in SETS:
        for side, stems in zip(('train', 'val'), read(repository, name), strict=True):
            assert (tmp_path / 'splits' / name / f'{side}.txt').read_text().split() == stems


def test_a_set_without_a_split_is_divided_by_groups(development, sources, tmp_path, monkeypatch):
    monkeypatch.setattr(development, 'SPLITS', tmp_path / 'splits')
    monkeypatch.setattr(development, 'SETS', ('swinseg',))
    development.write_splits(sources)
    train, val = ((tmp_path / 'splits' / 'swinseg' / f'{side}.txt').read_text().split() for side in ('train', 'val'))
    together = development.groups(sources, 'swinseg', development.find_images(sources, 'swinseg'))
    assert 0.1 < len(val) / 94 < 0.3 and not {together[s] for s in train} & {together[s] for s in val}
    (sources / 'swinseg' / 'metadata.txt').unlink()
    with pytest.raises(SystemExit, match=r'metadata.txt is missing: it comes with the set'):
        development.groups(sources, 'swinseg', development.find_images(sources, 'swinseg'))


def test_copies_are_found_in_whatever_encoding(development, tmp_path):
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), (0, 0), 5)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    for name, pixels in (('a', image), ('b', 255 - image), ('c', image), ('d', image[:, ::-1])):
        cv2.imwrite(str(tmp_path / f'{name}.jpg'), pixels, [cv2.IMWRITE_JPEG_QUALITY, 60 if name == 'c' else 95])
    found = development.copies({name: tmp_path / f'{name}.jpg' for name in 'abcd'})
    assert found == {'a': 'a', 'b': 'b', 'c': 'a', 'd': 'd'}
