"""How often a cloud fraction lies in its interval: the counting is right."""

import sys

import cv2
import numpy as np
import pytest


@pytest.fixture
def benchmark(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    sys.modules.pop('cover', None)
    import cover

    return cover


class SaysOfCloud:
    """A model of which it is known what it makes of every pixel."""

    def __init__(self, *probabilities):
        self.probabilities = iter(probabilities)

    def set_prompts(self, prompts):
        assert prompts == ['clear sky', 'cloud']

    def predict_one(self, file, *, with_probabilities):
        assert with_probabilities and file.endswith('.jpg')
        cloud = np.broadcast_to(np.array(next(self.probabilities), np.float64), (4, 10))
        return dict(probabilities=np.stack([1 - cloud, cloud]))


def lay_out(root, *masks):
    for folder in ('images', 'masks', 'splits'):
        (root / folder).mkdir(parents=True)
    for number, mask in enumerate(masks):
        cv2.imwrite(str(root / 'masks' / f'{number}.png'), np.broadcast_to(np.array(mask, np.uint8), (4, 10)).copy())
    (root / 'splits' / 'val.txt').write_text('\n'.join(map(str, range(len(masks)))))


HALF = [0] * 5 + [1] * 5
A_FIFTH_UNKNOWN = [0] * 4 + [1] * 4 + [255] * 2


def test_truth_fraction_and_ends_of_every_image(benchmark, tmp_path):
    lay_out(tmp_path, HALF, A_FIFTH_UNKNOWN)
    found = benchmark.evaluate(SaysOfCloud(0.6, [0] * 4 + [1] * 6), tmp_path, 'val')
    ends = [0, 1] * len(benchmark.CONFIDENCES)  # 0.6 lies between the quarters already
    assert found[0].tolist() == pytest.approx([0.5, 1.0, *ends]), 'more likely cloud than clear, everywhere'
    assert found[1].tolist() == pytest.approx([0.5] * 10), 'a model that is right and sure; unknown pixels do not count'


def test_the_table_has_bias_error_and_coverage_of_every_set(benchmark, tmp_path, monkeypatch, capsys):
    sure_and_wrong = [0] * 9 + [1]
    for name in benchmark.SETS:
        lay_out(tmp_path / name, HALF, HALF)
    model = SaysOfCloud(*[0.6, sure_and_wrong] * len(benchmark.SETS))
    monkeypatch.setattr(benchmark, 'HyperSegInferencer', lambda name: model)
    monkeypatch.setattr(sys, 'argv', ['cover.py', str(tmp_path), 'a model'])
    benchmark.main()
    rows = capsys.readouterr().out.splitlines()
    assert rows[2] == '| swimseg, 2 | +0.050 | 0.450 |' + ' 0.50, 0.500 |' * 4
    assert len(rows) == 2 + len(benchmark.SETS)
