"""The benchmark of vocabularies: its three ways find the same labels."""

import argparse
import sys

import pytest
import torch


@pytest.fixture
def vocabulary(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    sys.modules.pop('vocabulary', None)
    import vocabulary

    return vocabulary


def test_all_ways_predict_the_same_labels(vocabulary):
    assert len(set(vocabulary.words())) == len(vocabulary.words()) > 1000
    args = argparse.Namespace(threads=torch.get_num_threads(), window=48, device='cpu')
    model, image = vocabulary.build(args, 70), torch.randn(1, 3, 64, 64)
    found = {way: vocabulary.predict(model, image, way) for way in vocabulary.WAYS}
    assert found['chunks'].shape == (64, 64)
    for labels in found.values():
        assert (labels == found['chunks']).float().mean() > 0.999
