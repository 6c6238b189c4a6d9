"""Labels in NumPy, against PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hyperbolic_seg.apis.array_maps import class_shares, decide, deepest_nodes, enlarged_bands
from hyperbolic_seg.models.refinement import chain
from hyperbolic_seg.text import Taxonomy


def maps_of(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) * 4


@pytest.mark.parametrize('size', [(150, 200), (30, 40), (11, 17), (30, 91), (1, 1)])
@pytest.mark.parametrize('band', [1, 700, 2**19])
def test_bands_are_the_enlarged_maps(size, band):
    maps = maps_of(3, 30, 40)
    expected = F.interpolate(torch.from_numpy(maps)[None], size=size, mode='bilinear', align_corners=False)[0].numpy()
    found = np.full_like(expected, np.nan)
    for rows, part in enlarged_bands(maps, size, band=band):
        found[:, rows] = part
    assert np.abs(found - expected).max() < 2e-4  # places among 40 columns, rounded to float32, times slopes of 20


def test_a_single_row_is_enlarged():
    maps = maps_of(2, 1, 5)
    ((rows, found),) = enlarged_bands(maps, (4, 5))
    assert rows == slice(0, 4)
    assert (found == maps).all()


@pytest.mark.parametrize('count', [2, 3, 22])
def test_labels_and_their_probabilities_are_those_of_the_chain(count):
    logits = maps_of(count, 31, 23)
    logits[:, 3] = 1.5  # equally probable
    labels, confidence = chain.decide([torch.from_numpy(logits)])
    found = decide(logits)
    assert (found.labels == labels.numpy()).all()
    assert np.abs(found.confidence - confidence.numpy()).max() < 1e-6
    shares = class_shares(logits)
    assert np.abs(shares - torch.from_numpy(logits).softmax(0).numpy()).max() < 1e-6


def test_probabilities_of_large_logits_are_finite():
    logits = np.array([[[500.0]], [[-500.0]], [[499.0]]], np.float32)
    assert decide(logits).confidence[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))
    assert np.isfinite(class_shares(logits)).all()


@pytest.mark.parametrize('threshold', [0.51, 0.7, 1.0])
def test_nodes_are_those_of_the_taxonomy(threshold):
    tree = Taxonomy.load('voc20b_tree')
    shares = class_shares(maps_of(5, 20, 30) / 2)
    of = tree.ids(['cat', 'dog', *tree.leaves.names[:3]])
    expected = tree.deepest(torch.from_numpy(shares), threshold, 0, of=of).numpy()
    assert (deepest_nodes(shares, tree, threshold, of=of) == expected).all()
    assert len(np.unique(expected)) > 1 or threshold == 1


@pytest.mark.parametrize('threshold', [0.5, 1.1])
def test_a_threshold_is_above_a_half(threshold):
    tree = Taxonomy.load('voc20b_tree')
    with pytest.raises(ValueError, match=r'expected more than 0\.5, at most 1'):
        deepest_nodes(class_shares(maps_of(2, 3, 3)), tree, threshold, of=[0, 1])
