"""What is found of genera left out is counted by level and compared with guesses."""

import json
import sys

import cv2
import numpy as np
import pytest

from hyperbolic_seg.text import Taxonomy


@pytest.fixture
def unseen(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    for name in ('clouds', 'unseen'):
        sys.modules.pop(name, None)
    import unseen

    return unseen


def test_answers_beside_guesses_that_name_the_levels_as_often(unseen):
    truth = ['high cloud'] * 30 + ['low cloud'] * 30
    assert unseen.beside_chance(truth, truth) == (1.0, 0.5, 0.0)
    right, chance, as_good = unseen.beside_chance(truth, ['low cloud'] * 60)
    assert (right, chance, as_good) == (0.5, 0.5, 1.0)  # always the same level: no better than any shuffle
    right, chance, as_good = unseen.beside_chance(truth, truth[:40] + ['high cloud'] * 20)
    assert right == pytest.approx(40 / 60) and chance == pytest.approx(0.5) and as_good < 0.01


class SeesByBrightness:
    """Names the genus whose place among the ten is the grey level."""

    def set_prompts(self, prompts):
        self.count = len(prompts)

    def predict_one(self, picture):
        return {'labels': np.minimum(picture[..., 0], self.count - 1)}


def test_levels_of_every_genus_are_counted(unseen, tmp_path):
    tree = Taxonomy.load('sky')
    genera = [node.name for node in tree.nodes if node.latin and node.name != 'contrail']
    for folder in ('images', 'masks', 'splits'):
        (tmp_path / folder).mkdir()
    pictures = [('cirrus', 'cirrus'), ('cirrus', 'cirrostratus'), ('cirrus', 'stratus'), ('stratus', 'cirrus')]
    for i, (label, answer) in enumerate(pictures):
        level = np.full((4, 4, 3), genera.index(answer), np.uint8)
        cv2.imwrite(str(tmp_path / 'images' / f'{i}.jpg'), level, [cv2.IMWRITE_JPEG_QUALITY, 100])
        cv2.imwrite(str(tmp_path / 'masks' / f'{i}.png'), np.full((4, 4), tree.ids([label])[0], np.uint8))
    (tmp_path / 'splits' / 'val.txt').write_text('\n'.join('0123'))
    found = unseen.levels_found(SeesByBrightness(), tmp_path)
    assert list(found) == genera
    assert found['cirrus'] == {'high cloud': 2, 'low cloud': 1} and found['stratus'] == {'high cloud': 1}
    assert found['cumulus'] == {}


def test_the_table_has_a_row_for_every_genus_and_their_sum(unseen, tmp_path, monkeypatch, capsys):
    levels = {'cirrus': {'high cloud': 3, 'low cloud': 1}, 'stratus': {'low cloud': 4}, 'cumulus': {'low cloud': 2}}
    rows = [dict(variant='cosine', swimseg=80.0), dict(variant='unseen-cirrus-stratus', levels=levels)]
    (tmp_path / 'results.jsonl').write_text('\n'.join(map(json.dumps, rows)))
    monkeypatch.setattr(sys, 'argv', ['unseen.py', str(tmp_path)])
    unseen.main()
    out = capsys.readouterr().out
    assert '| cirrus | high cloud | 3 | 0 | 1 | 0.750 |' in out and '| stratus | low cloud | 0 | 0 | 4 | 1.000 |' in out
    # Of 8 pictures 7 are right; guesses: 4/8 * 3/8 high and 4/8 * 5/8 low.
    assert 'left out: level found 0.875, chance 0.500' in out and '| cumulus' not in out
    assert 'trained on: level found 1.000' in out
