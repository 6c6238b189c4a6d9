"""The curve of mean IoU by labels: which pictures are never mixed, and what a camera whose colors mislead gains."""

import re
import sys

import numpy as np
import pytest
import torch

from hyperbolic_seg.app.labeled_pixels import Sample


@pytest.fixture(scope='module')
def benchmark(repository):
    folder = str(repository / 'tools' / 'benchmarks')
    sys.path.insert(0, folder)
    import adaptation

    yield adaptation
    sys.path.remove(folder)


def camera(benchmark, *, groups=8, each=3):
    """Pictures of a camera whose cloud is redder than its sky; the model is wrong about a third of the pixels."""
    generator, found = torch.Generator().manual_seed(0), []
    for number in range(groups * each):
        labels = (torch.rand(60, generator=generator) < 0.5).float()
        features = torch.randn(4, 60, generator=generator) + labels
        wrong = torch.rand(60, generator=generator) < 0.33
        odds = (2 * labels - 1) * torch.where(wrong, -1.0, 1.0)
        sample = Sample(odds, features, labels)
        colors = np.zeros((60, 1, 3), np.uint8)
        colors[:, 0, 2], colors[:, 0, 0] = 100 + 100 * labels.numpy(), 150
        rules = {name: np.zeros(60, bool) for name in benchmark.RULES}
        shares = np.array([0.8, 0.7, 0.7])
        found.append(benchmark.Picture(f'day {number % groups}', sample, (sample, sample), shares, colors, rules))
    return found


def test_pictures_of_a_day_are_adapted_on_or_held_out(benchmark):
    groups = [f'day {number}' for number in range(9)]
    for division in range(benchmark.DIVISIONS):
        parts = benchmark.parts_of(groups, division)
        assert sorted(group for part in parts for group in part) == groups and all(parts)
    pictures = camera(benchmark)
    order = benchmark.draw_labels(pictures, ['day 1', 'day 3', 'day 4'], 0)
    assert sorted(order) == [n for n, each in enumerate(pictures) if each.group in ('day 1', 'day 3', 'day 4')]
    assert {pictures[number].group for number in order[:3]} == {'day 1', 'day 3', 'day 4'}


def test_labels_help_where_colors_mislead_and_tuned_rules_are_beside(benchmark, tmp_path, capsys):
    pictures = camera(benchmark)
    torch.save([each._asdict() for each in pictures], tmp_path / 'some-model-swimseg-6.pt')
    given = [str(tmp_path), 'some-model', '--cache', str(tmp_path), '--per-group', '6', '--draws', '1']
    benchmark.main([*given, '--cameras', 'swimseg'])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('| swimseg')]
    cells = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines]
    assert [int(row[1]) for row in cells] == [0, *benchmark.COUNTS]
    before, after = (float(re.match(r'[0-9.]+', cell)[0]) for cell in (cells[-1][2], cells[-1][4]))
    assert 0.4 < before < 0.6 < after
    assert cells[0][6].endswith('(+0.000 ± 0.000)')  # the colors agree less: the model stays
    assert cells[-1][7] == '1.000' and float(cells[0][7]) < 0.3


def test_clicks_are_few_pixels_of_both_kinds_and_the_same_of_every_sample(benchmark):
    picture = camera(benchmark)[0]
    few = benchmark.clicked(picture, 4, seed=1)
    assert sorted(few.plain.labels.tolist()) == [0, 0, 1, 1] and len(few.colors) == 4
    assert torch.equal(few.moved[1].features, few.plain.features)
    at = [int((picture.plain.features == column[:, None]).all(0).nonzero()) for column in few.plain.features.T]
    assert torch.equal(picture.plain.log_odds[at], few.plain.log_odds)
    assert np.array_equal(picture.colors[at], few.colors)
    clear = picture._replace(plain=picture.plain._replace(labels=torch.zeros(60)))
    assert benchmark.clicked(clear, 4, seed=1).plain.labels.tolist() == [0] * 4
    assert benchmark.clicked(picture, 0, seed=1) is picture
