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


def test_chance_is_the_accuracy_of_shuffled_predictions(unseen):
    truth = [0] * 30 + [2] * 30
    assert unseen.compare_with_chance([list(zip(truth, truth, strict=True))]) == (1.0, 0.5, 0.0)
    always = unseen.compare_with_chance([[(level, 2) for level in truth]])
    assert always == (0.5, 0.5, 1.0)  # the same level for all: no better than any shuffle
    right, chance, as_good = unseen.compare_with_chance([list(zip(truth, truth[:40] + [0] * 20, strict=True))])
    assert right == pytest.approx(40 / 60) and chance == pytest.approx(0.5) and as_good < 0.01


def test_predictions_are_shuffled_within_models(unseen):
    """Two models that always name one level each are right by their own habit, not by what they see."""
    habits = [[(0, 0)] * 20 + [(1, 0)] * 10, [(2, 2)] * 20 + [(1, 2)] * 10]
    assert unseen.compare_with_chance(habits) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 1.0)


class SeesByBrightness:
    """Names the prompt whose place is the gray level."""

    def set_prompts(self, prompts):
        self.prompts = list(prompts)

    def predict_one(self, image):
        return {'labels': np.minimum(image[..., 0], len(self.prompts) - 1)}


def test_levels_of_every_genus_are_counted(unseen, tmp_path):
    tree = Taxonomy.load('sky')
    for folder in ('images', 'masks', 'splits'):
        (tmp_path / folder).mkdir()
    held_out = [('cirrus', 0), ('cirrus', 0), ('cirrus', 2), ('stratus', 1), ('clear sky', 0)]
    training = [('cirrus', 1), ('stratus', 2)]
    for i, (label, answer) in enumerate(held_out + training):
        image = np.full((4, 4, 3), answer, np.uint8)
        image[0, 0] = 2  # most pixels decide, not all
        cv2.imwrite(str(tmp_path / 'images' / f'{i}.jpg'), image, [cv2.IMWRITE_JPEG_QUALITY, 100])
        cv2.imwrite(str(tmp_path / 'masks' / f'{i}.png'), np.full((4, 4), tree.ids([label])[0], np.uint8))
    (tmp_path / 'splits' / 'val.txt').write_text('\n'.join('01234'))
    (tmp_path / 'splits' / 'train.txt').write_text('5\n6\n')
    model = SeesByBrightness()
    found = unseen.count_levels(model, tmp_path, ['cirrus', 'cumulus'])
    assert model.prompts == ['high cloud', 'middle cloud', 'low cloud'] and len(found) == 10
    assert found['cirrus'] == [2, 1, 1], 'all images of a genus left out, also those that others train on'
    assert found['stratus'] == [0, 1, 0], 'only held-out ones of a genus trained on'
    assert found['cumulus'] == [0, 0, 0]


def test_the_table_has_a_row_for_every_genus_and_their_sum(unseen, tmp_path, monkeypatch, capsys):
    levels = {'cirrus': [3, 0, 1], 'stratus': [0, 0, 4], 'cumulus': [0, 0, 2]}
    rows = [dict(variant='cosine', swimseg=80.0), dict(variant='unseen-cirrus-stratus', levels=levels)]
    (tmp_path / 'results.jsonl').write_text('\n'.join(map(json.dumps, rows)))
    monkeypatch.setattr(sys, 'argv', ['unseen.py', str(tmp_path)])
    unseen.main()
    out = capsys.readouterr().out
    assert '| cirrus | high cloud | 3 | 0 | 1 | 0.750 |' in out and '| stratus | low cloud | 0 | 0 | 4 | 1.000 |' in out
    # Of 8 images 7 are right; guesses: 4/8 * 3/8 high and 4/8 * 5/8 low.
    assert 'left out: level found 0.875, chance 0.500' in out and '| cumulus' not in out
    assert 'trained on: level found 1.000' in out
