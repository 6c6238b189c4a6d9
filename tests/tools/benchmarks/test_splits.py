"""The splits of the development sets keep together what belongs together."""

import csv
import re

import pytest

SETS = {'swimseg': 776, 'swinseg': 94, 'wsiseg': 347, 'ccsn': 1771}


def read(repository, name):
    folder = repository / 'tools' / 'benchmarks' / 'splits' / name
    return [(folder / f'{side}.txt').read_text().split() for side in ('train', 'val')]


@pytest.mark.parametrize('name', SETS)
def test_every_picture_is_on_one_side(repository, name):
    train, val = read(repository, name)
    assert not set(train) & set(val)
    assert len(set(train + val)) == len(train + val) == SETS[name]
    assert 0.18 < len(val) / SETS[name] < 0.22


def test_capture_days_are_whole(repository, real_data):
    with (real_data / 'swimseg' / 'metadata.csv').open() as file:
        days = {row['Number']: row['Date'] for row in csv.DictReader(file)}
    train, val = ({days[stem] for stem in stems} for stems in read(repository, 'swimseg'))
    assert not train & val


@pytest.mark.parametrize('name, size', [('swinseg', 8), ('wsiseg', 20)])
def test_neighbours_stay_together(repository, name, size):
    blocks = [{int(re.findall(r'\d+', stem)[-1]) // size for stem in stems} for stems in read(repository, name)]
    assert not blocks[0] & blocks[1]


def test_every_genus_is_on_both_sides(repository):
    train, val = ({stem.split('-')[0] for stem in stems} for stems in read(repository, 'ccsn'))
    assert train == val and len(val) == 11
