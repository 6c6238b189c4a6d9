"""Hierarchical metric of the sky."""

import numpy as np
import pytest
import torch
from mmseg.registry import METRICS

from hyperbolic_seg.sky import CloudCoverMetric
from hyperbolic_seg.text import Vocabulary

BINARY = Vocabulary.load('binary')


def sample(predicted, labels):
    """A data sample of a row of pixels, 0 for clear sky and 1 for cloud."""
    probabilities = torch.full((2, 1, len(labels)), 1e-9)
    probabilities[predicted, 0, range(len(predicted))] = 1.0
    return dict(
        seg_logits=dict(data=probabilities.log()),
        gt_sem_seg=dict(data=torch.tensor([[labels]])),
        classes=BINARY.names,
        lineages=tuple(concept.lineage for concept in BINARY),
    )


def evaluate(*samples, **options):
    metric = CloudCoverMetric(**{'draws': 0, **options})
    metric.process({}, samples)
    return metric.compute_metrics(metric.results)


def test_cloud_cover_in_percent_and_in_oktas():
    metrics = evaluate(sample([0, 0, 1, 1, 1], [0, 1, 1, 1, 1]))
    assert metrics['fraction_error'] == pytest.approx(20) and metrics['fraction_bias'] == pytest.approx(-20)
    assert metrics['okta_error'] == pytest.approx(1)  # 5 for 6


def test_a_single_pixel_of_cloud_is_one_okta():
    nearly_clear = [1] + [0] * 99
    assert evaluate(sample([0] * 100, nearly_clear))['okta_error'] == 1
    assert evaluate(sample(nearly_clear, nearly_clear))['okta_error'] == 0
    assert evaluate(sample([1] * 100, [1] * 99 + [0]))['okta_error'] == 1


def test_errors_are_means_over_images():
    right, wrong = sample([0, 1], [0, 1]), sample([0, 0], [1, 1])
    metrics = evaluate(right, wrong, draws=50)
    assert metrics['okta_error'] == pytest.approx(4)
    assert metrics['okta_error/low'] <= 4 <= metrics['okta_error/high']


def test_configs_name_it_without_options():
    metric = METRICS.build(dict(type='CloudCoverMetric'))
    assert metric.taxonomy.nodes[metric.fraction_of].name == 'cloud'
    errors = metric.fraction_errors(np.array([0.0, 1.0]), np.array([0.5, 1.0]))
    assert errors['okta_error'].tolist() == [4, 0]
