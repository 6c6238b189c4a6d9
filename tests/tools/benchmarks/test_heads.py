"""Stock heads with their own and with hyperbolic classifiers."""

import runpy

import pytest
import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead

from hyperbolic_seg import layers


@pytest.fixture(scope='module')
def benchmark(repository):
    return runpy.run_path(str(repository / 'tools' / 'benchmarks' / 'heads.py'))


@pytest.mark.parametrize('name', ['FCN', 'PSP', 'DeepLabV3+', 'UPer', 'SegFormer', 'BiSeNet'])
def test_variants_differ_in_the_classifier_alone(benchmark, name):
    plain, hyperbolic = (benchmark['build'](name, classifier, 0) for classifier in ('conv_seg', 'HyperbolicPrototypes'))
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


def test_a_training_is_measured(benchmark):
    figures = benchmark['train']('SegFormer', 'HyperbolicMLR', 'SGD', 0, 2)
    assert figures['start'] == pytest.approx(1, abs=0.1) and 0 < figures['miou'] < 100
