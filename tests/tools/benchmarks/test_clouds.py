"""The benchmark by name: its words are new to the model, and its counts are right."""

import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from hyperbolic_seg.text import Taxonomy


@pytest.fixture
def clouds(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    sys.modules.pop('clouds', None)
    import clouds

    return clouds


@pytest.fixture
def genera():
    return [node for node in Taxonomy.load('sky').nodes if node.latin and node.name != 'contrail']


@pytest.mark.parametrize('file', ['everyday_words.yaml', 'development_words.yaml'])
def test_words_of_the_benchmark_are_not_those_of_the_training(file, clouds, genera):
    known = {word.lower() for node in Taxonomy.load('sky').nodes for word in node.phrases}
    for wording, words in yaml.safe_load(clouds.EVERYDAY.with_name(file).read_text(encoding='utf-8')).items():
        assert set(words) == {node.name for node in genera}, wording
        assert len(set(words.values())) == len(genera)
        assert not known & {word.lower() for word in words.values()}


class AnswersCumulus:
    """Sees cumulus, in whatever words, in all but one corner of every image."""

    def __init__(self, genera):
        self.index = [node.name for node in genera].index('cumulus')

    def set_prompts(self, prompts):
        assert len(prompts) == 10

    def predict_one(self, image):
        labels = np.full(image.shape[:2], self.index)
        labels[0, 0] = 0
        return {'labels': labels}


def test_genus_and_level_are_right_by_the_majority_of_pixels(clouds, genera, tmp_path):
    tree = Taxonomy.load('sky')
    for folder in ('images', 'masks', 'splits'):
        (tmp_path / folder).mkdir()
    # Cumulus is right, stratus right by level, cirrus wrong; a contrail is no genus and not asked for.
    names = ['cumulus', 'stratus', 'cirrus', 'contrail']
    for name in names:
        cv2.imwrite(str(tmp_path / 'images' / f'{name}.jpg'), np.zeros((4, 4, 3), np.uint8))
        mask = np.full((4, 4), [node.name for node in tree.nodes].index(name), np.uint8)
        cv2.imwrite(str(tmp_path / 'masks' / f'{name}.png'), mask)
    (tmp_path / 'splits' / 'val.txt').write_text('\n'.join(names))
    found = list(clouds.genus_hits(AnswersCumulus(genera), tmp_path))
    assert [wording for wording, *_ in found][:2] == ['names', 'definitions'] and len(found) == 5
    assert all(hits == {'genus': [True, False, False], 'level': [True, True, False]} for _, hits in found)


def test_genera_are_printed_with_intervals(clouds, genera, monkeypatch, capsys):
    named, other = [True] * 30 + [False] * 10, [True] * 20 + [False] * 20
    found = [('names', {'genus': named, 'level': named}), ('plain', {'genus': other, 'level': named})]
    monkeypatch.setattr(clouds, 'genus_hits', lambda *args, **kwargs: iter(found))
    clouds.print_genera(None, Path('ccsn'), None)
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows[1:3]] == [['ccsn, 40', 'level, names'], ['ccsn, 40', 'genus, plain']]
    share, low, high = map(float, re.findall(r'[\d.]+', rows[2][2]))
    assert share == 0.5 and 0.3 < low < 0.4 and 0.6 < high < 0.7
    assert re.fullmatch(r'-0\.250 \(-0\.[34]\d\d to -0\.1\d\d\)', rows[2][3])
    assert rows[3][3] == '+0.000 (+0.000 to +0.000)'


def test_confusion_leaves_out_what_is_ignored(clouds):
    mask = np.array([[0, 1, 255], [1, 1, 0]])
    found = np.array([[0, 1, 1], [0, 1, 1]])
    np.testing.assert_array_equal(clouds.confusion(found, mask), [[1, 1], [1, 2]])


def test_other_cameras_change_each_image_differently_and_reproducibly(clouds):
    image = np.tile(np.linspace(40, 200, 32, dtype=np.uint8)[:, None, None], (1, 32, 3))
    pairs = [(image, np.full((32, 32), i, np.uint8)) for i in range(4)]
    first, again = clouds.develop_anew(pairs), clouds.develop_anew(pairs)
    for i, ((one, mask), (other, _)) in enumerate(zip(first, again, strict=True)):
        assert one.shape == image.shape and (mask == i).all()
        np.testing.assert_array_equal(one, other)
        assert np.abs(one.astype(int) - image).mean() > 1
    assert not (first[0][0] == first[1][0]).all()
