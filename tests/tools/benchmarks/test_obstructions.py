"""Sky against not sky: the counting is right."""

import sys

import cv2
import numpy as np
import pytest

from hyperbolic_seg.sky import known_words
from hyperbolic_seg.text import Vocabulary

IDS = dict(
    zip(('clear sky', 'cloud', 'sun', 'obstruction', 'outside the lens', 'tree'), (0, 1, 17, 18, 19, 23), strict=True)
)
SKY = 125


@pytest.fixture
def benchmark(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    sys.modules.pop('obstructions', None)
    import obstructions

    return obstructions


class SeesStripes:
    """A model that predicts its prompts in stripes, and cannot tell two kinds of obstruction apart."""

    def set_prompts(self, prompts):
        if {'building', 'tree'} <= set(prompts):
            raise ValueError('building, tree are all obstruction')
        self.vocabulary = Vocabulary.load(prompts, known=known_words())

    def predict_one(self, image):
        columns = np.arange(image.shape[1]) * len(self.vocabulary) // image.shape[1]
        return dict(labels=np.broadcast_to(columns, image.shape[:2]))


@pytest.fixture
def data(tmp_path):
    """Two pictures of 12 columns: sky, tree, and two columns outside the lens."""
    for folder in ('images', 'masks', 'splits'):
        (tmp_path / folder).mkdir()
    for stem, sky in (('a', 6), ('b', 3)):
        labels = np.full((4, 12), IDS['tree'], np.uint8)
        labels[:, :sky], labels[:, 10:] = SKY, IDS['outside the lens']
        cv2.imwrite(str(tmp_path / 'masks' / f'{stem}.png'), labels)
        image = np.zeros((4, 12, 3), np.uint8)
        image[..., 0] = np.where(labels == SKY, 200, 40)
        image[:, 10:] = 255
        cv2.imwrite(str(tmp_path / 'images' / f'{stem}.png'), image)
    (tmp_path / 'splits' / 'choosing.txt').write_text('a\nb\n')
    return tmp_path


def test_labels_of_every_depth_are_sky_or_not(benchmark):
    table = benchmark.truth_table()
    names = ('clear sky', 'cloud', 'sun')
    assert all(table[IDS[name]] == benchmark.YES for name in names) and table[SKY] == benchmark.YES
    assert all(table[IDS[name]] == benchmark.NOT for name in ('obstruction', 'tree'))
    assert table[IDS['outside the lens']] == table[255] == table[20] == benchmark.IGNORED


def spread_between(values, threshold):
    """Variance between what is above and not above a threshold: Otsu's criterion (1979)."""
    above = values > threshold
    if above.all() or not above.any():
        return 0.0
    return above.mean() * (~above).mean() * (values[above].mean() - values[~above].mean()) ** 2


def test_otsu_divides_what_counts_by_the_largest_variance_between(benchmark):
    blue = np.clip(np.random.default_rng(0).normal([[60], [180]], 20, (2, 500)), 0, 255).astype(np.uint8)
    image = np.stack([blue, 0 * blue, 0 * blue], -1)
    labels = np.where(np.arange(500) < 400, 1, 255).astype(np.uint8)[None].repeat(2, 0)
    best = max(range(256), key=lambda threshold: spread_between(blue[:, :400], threshold))
    np.testing.assert_array_equal(benchmark.otsu(image, labels), blue > best)


def test_rows_are_those_of_counts_by_hand(benchmark, data, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, 'HyperSegInferencer', lambda *model: SeesStripes())
    options = ['--prompts', 'clear sky, cloud, obstruction', '--prompts', 'building, tree', '--pictures']
    picture = data / 'images' / 'a.png'
    monkeypatch.setattr(sys, 'argv', ['obstructions.py', str(data), 'a model', *options, '--sky', str(picture)])
    benchmark.main()
    rows = {row.split(' | ')[0].strip('| '): row for row in capsys.readouterr().out.splitlines()}
    assert '| 1.000 (1.000 to 1.000) | 1.000 | 1.000 |' in rows['Otsu on blue'], 'pixels outside do not count'
    # Predicted sky: columns 0 to 7. Sky is right in 6 + 3 of 16 columns, not sky in 2 + 2 of 4.
    sky, rest = 9 / 16, 4 / 11
    row = rows['clear sky, cloud, obstruction']
    assert f'| {(sky + rest) / 2:.3f} (' in row and row.endswith(f'| {sky:.3f} | {rest:.3f} |')
    assert 'refused: building, tree are all obstruction' in rows['building, tree']
    assert rows['a'] == f'| a | 1.000 | {(6 / 8 + 2 / 4) / 2:.3f} |'
    assert rows['b'] == f'| b | 1.000 | {(3 / 8 + 2 / 7) / 2:.3f} |'
    assert 'cloud in a.png, by clear sky, cloud, obstruction: 0.500' in rows


def test_a_prompt_of_unknown_meaning_is_refused(benchmark):
    words = Vocabulary.load(['sky', 'moon', 'house', 'nuvola'], known=known_words())
    assert [benchmark.counts_as_sky(word) for word in words[:3]] == [True, True, False]
    with pytest.raises(SystemExit, match='is a guess'):
        benchmark.counts_as_sky(words[3])


def test_a_share_of_cloud_needs_prompts_for_both(benchmark):
    labels = np.array([[0, 0, 1, 2]])
    words = Vocabulary.load(['clear sky', 'cumulus', 'tree'], known=known_words())
    assert benchmark.cloud_share(labels, words) == pytest.approx(1 / 3)
    assert np.isnan(benchmark.cloud_share(labels, Vocabulary.load(['sky', 'sun', 'tree'], known=known_words())))
    assert np.isnan(benchmark.cloud_share(labels[:, 3:], words)), 'trees alone'
