"""Stock heads with their own and with hyperbolic classifiers."""

import json
import runpy

import pytest
import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead

from hyperbolic_seg import layers

NAMES = ['fcn_r50-d8', 'deeplabv3plus_r50-d8', 'upernet_r50', 'segformer_mit-b0', 'setr_mla']


@pytest.fixture(scope='module')
def benchmark(repository):
    return runpy.run_path(str(repository / 'tools' / 'benchmarks' / 'heads.py'))


@pytest.mark.parametrize('name', NAMES)
def test_variants_differ_in_the_classifier_alone(benchmark, name):
    plain, hyperbolic = (
        benchmark['build'](name, classifier, 0, 128) for classifier in ('conv_seg', 'HyperbolicPrototypes')
    )
    assert isinstance(hyperbolic.decode_head, BaseDecodeHead)
    assert isinstance(hyperbolic.decode_head.conv_seg, layers.HyperbolicPrototypes)
    shapes = [
        {key: value.shape for key, value in model.state_dict().items() if 'conv_seg' not in key}
        for model in (plain, hyperbolic)
    ]
    assert shapes[0] == shapes[1]
    assert hyperbolic.decode_head.conv_seg.weight.shape == plain.decode_head.conv_seg.weight.shape[:2]


def test_images_are_the_same_each_time_and_differ_by_seed(benchmark):
    (image, labels), (again, _), (other, _) = map(benchmark['draw'], (3, 3, 4))
    assert torch.equal(image, again) and not torch.equal(image, other)
    assert image.shape == (3, 48, 48) and labels.shape == (48, 48) and labels.max() < 5


@pytest.mark.parametrize('name', NAMES)
def test_no_decode_head_is_wider_than_the_width(benchmark, name):
    assert benchmark['narrow'](name).decode_head.channels > 64
    assert benchmark['narrow'](name, 64).decode_head.channels == 64


def test_a_table_has_accuracy_and_time_and_resumes(tool, tmp_path):
    run = ('benchmarks/heads', '--work-dir', tmp_path, '--models', 'segformer_mit-b0', '--classifiers', 'conv_seg')
    run += ('HyperbolicMLR', '--optimizers', 'SGD', '--seeds', '0', '--iterations', '2', '--rounds', '1')
    first = tool(*run)
    assert first.returncode == 0, first.stderr
    rows = [json.loads(line) for line in (tmp_path / 'results.jsonl').read_text().splitlines()]
    plain, _, timed = rows
    assert plain['start'] == pytest.approx(1, abs=0.1) and 0 < plain['miou'] < 100
    assert '| model | optimizer | conv_seg | HyperbolicMLR | time, HyperbolicMLR / conv_seg |' in first.stdout
    ratio = timed['times']['HyperbolicMLR'] / timed['times']['conv_seg']
    cells = [f'{row["miou"]:.1f}, {row["start"]:.2f}' for row in rows[:2]]
    table = f'| segformer_mit-b0 | SGD | {cells[0]} | {cells[1]} | {ratio:.2f} |'
    assert table in first.stdout
    again = tool(*run)
    assert table in again.stdout and "'miou'" not in again.stdout
