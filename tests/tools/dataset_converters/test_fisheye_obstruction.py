"""Street canyons of fisheye_obstruction, from files in its layout."""

import cv2
import numpy as np
import pytest

from hyperbolic_seg.text import Vocabulary
from tests import processes

HALVES = ('choosing', 'last_look')


def stems_of(repository, half):
    return (repository / 'tools' / 'benchmarks' / 'splits' / 'fisheye_obstruction' / f'{half}.txt').read_text().split()


@pytest.fixture
def source(repository, tmp_path):
    """Pictures of all names, with sky, not sky and a dark frame in stripes."""
    root = tmp_path / 'source'
    for folder in ('images', 'masks'):
        (root / folder).mkdir(parents=True)
    labels = np.repeat(np.uint8([[0, 1, 255]]), 6, 0)
    for half in HALVES:
        for number, stem in enumerate(stems_of(repository, half)):
            assert cv2.imwrite(str(root / 'images' / f'{stem}.jpg'), np.full((6, 3, 3), number, np.uint8))
            assert cv2.imwrite(str(root / 'masks' / f'{stem}.png'), labels)
    return root


def run(repository, *arguments):
    script = repository / 'tools' / 'dataset_converters' / 'fisheye_obstruction.py'
    return processes.run(script, *arguments, cwd=repository)


def test_halves_divide_the_walk_once(repository):
    choosing, last_look = (list(map(int, stems_of(repository, half))) for half in HALVES)
    assert len(choosing) == 11 and len(last_look) == 18
    assert max(choosing) < min(last_look), 'the numbers follow the walk'


def test_labels_are_ids_of_the_sky(repository, source, tmp_path):
    done = run(repository, source, tmp_path / 'out')
    assert done.returncode == 0, done.stdout + done.stderr
    sky = Vocabulary.load('sky')
    found = cv2.imread(str(tmp_path / 'out' / 'masks' / '280419.png'), cv2.IMREAD_UNCHANGED)
    assert found[0, 1:].tolist() == [sky.index_of('obstruction'), sky.index_of('outside the lens')]
    for half in HALVES:
        assert (tmp_path / 'out' / 'splits' / f'{half}.txt').read_text().split() == stems_of(repository, half)
    image = (tmp_path / 'out' / 'images' / '280419.jpg').read_bytes()
    assert image == (source / 'images' / '280419.jpg').read_bytes()


def test_what_is_missing_or_unknown_is_named(repository, source, tmp_path):
    (source / 'masks' / '280419.png').unlink()
    cv2.imwrite(str(source / 'masks' / '280439.png'), np.uint8([[0, 7]]))
    done = run(repository, source, tmp_path / 'out')
    assert done.returncode == 1
    assert 'refused 280419: 280419.png cannot be read' in done.stdout
    assert 'refused 280439: 280439.png has unknown values 7, expected 0, 1, 255' in done.stdout
    (source / 'images' / 'other.jpg').write_bytes(b'')
    done = run(repository, source, tmp_path / 'other')
    assert done.returncode == 2 and '1 pictures are in no half, such as other' in done.stderr
    done = run(repository, tmp_path, tmp_path / 'third')
    assert done.returncode == 2 and 'no picture in' in done.stderr
