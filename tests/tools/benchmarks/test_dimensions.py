"""The benchmark of dimensions: heads learn from sampled pixels, and its figures are what they say."""

import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from hyperbolic_seg.text import WHOLE_IMAGE, Taxonomy


@pytest.fixture
def dimensions(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    for name in ('clouds', 'dimensions'):
        sys.modules.pop(name, None)
    import dimensions

    init_default_scope('mmseg')
    return dimensions


@pytest.fixture
def config(repository):
    cfg = Config.fromfile(repository / 'configs' / 'hyperclip_unet_cloud.py')
    cfg.model.decode_head.update(in_channels=6, channels=6, dropout_ratio=0)
    return cfg


def separable(dimensions, labels, codes, *, mark=0):
    """Images of eight pixels each whose features determine their labels."""
    labels = torch.tensor(labels)
    features = codes[labels][:, :, None, None].expand(-1, -1, 8, 1)
    return dimensions.Pixels(features.half(), labels[:, None, None].expand(-1, 8, 1) + mark)


@pytest.mark.parametrize('kind', ['distance', 'mlr', 'flat-distance', 'flat-mlr', 'cosine'])
def test_a_head_learns_what_the_pixels_say(dimensions, config, kind):
    ids = Taxonomy.load('sky').ids(['clear sky', 'cirrus', 'cumulus'])
    codes = torch.zeros(21, 6)
    codes[ids] = torch.eye(6)[:3] * 2
    codes[1] = codes[ids[1]] + codes[ids[2]]  # cloud, which any genus answers to
    sky, cirrus, cumulus = ids
    pixels = {
        f'{name}/{side}': separable(dimensions, [sky, 1] * 3, codes)
        for name in dimensions.CAMERAS
        for side in ('train', 'val')
    }
    for side in ('train', 'val'):
        pixels[f'ccsn/{side}'] = separable(dimensions, [cirrus, cumulus] * 3, codes, mark=WHOLE_IMAGE)
        pixels[f'sky/{side}'] = separable(dimensions, ids * 2, codes)
    head = dimensions.train_head(config, pixels, kind, 8, seed=0, steps=60)
    assert kind == 'cosine' or head.curvature().item() == (
        pytest.approx(1e-3) if kind.startswith('flat') else pytest.approx(1, rel=0.5)
    )
    found = dimensions.evaluate(head, pixels)
    assert found['mIoU'] > 95 and found['genus'] == found['level'] == 100 and found['steps'] == 0
    assert found['AURC/confidence'] < 5 and 0 <= found['ECE'] < 50


def test_mistakes_are_ranked_into_bins_of_equal_size(dimensions):
    value, wrong = np.linspace(1, 0, 1000), np.zeros(1000, bool)
    wrong[-100:] = True  # the least sure are wrong
    count, mistakes = dimensions._by_falling_rank(value, wrong)
    assert (count == 5).all() and mistakes[:180].sum() == 0 and mistakes[180:].sum() == 100


def test_the_table_gives_mean_and_deviation(dimensions, capsys):
    rows = [dict(kind='mlr', dims=4, seed=seed, steps_trained=9, mIoU=value) for seed, value in enumerate((80.0, 82.0))]
    dimensions.print_table(rows)
    assert '| 4 | mlr | 2 | 81.00 ± 1.41 |' in capsys.readouterr().out
