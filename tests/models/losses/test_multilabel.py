"""Binary cross entropy of every class, and what ignored pixels count as."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS


def build(**options):
    return MODELS.build(dict(type='MultilabelCrossEntropyLoss', **options))


@pytest.fixture
def example():
    torch.manual_seed(0)
    labels = torch.randint(0, 4, (2, 5, 6))
    labels[0, 0] = 255
    return 3 * torch.randn(2, 4, 5, 6), labels


def test_without_ignored_pixels_it_is_the_loss_of_mmsegmentation(example):
    scores, labels = example
    labels = labels % 4
    expected = MODELS.build(dict(type='CrossEntropyLoss', use_sigmoid=True))(scores, labels)
    for ignored in ('skip', 'negative'):
        torch.testing.assert_close(build(ignored=ignored)(scores, labels), expected)


def test_ignored_pixels_are_left_out_or_negative_for_every_class(example):
    scores, labels = example
    known = labels != 255
    targets = F.one_hot(labels.where(known, 0), 4).movedim(-1, 1) * known[:, None]
    losses = F.binary_cross_entropy_with_logits(scores, targets.float(), reduction='none')
    torch.testing.assert_close(build(ignored='negative')(scores, labels), losses.mean())
    torch.testing.assert_close(build()(scores, labels), losses.movedim(1, -1)[known].mean())


def test_weights_and_an_image_without_labels(example):
    scores, labels = example
    weight = torch.zeros(2, 5, 6)
    assert build(loss_weight=2.0)(scores, labels, weight) == 0
    scores.requires_grad_()
    loss = build()(scores, torch.full_like(labels, 255))
    loss.backward()
    assert loss == 0 and not scores.grad.any()


def test_half_precision_is_computed_in_single(example):
    scores, labels = example
    with torch.autocast('cpu', torch.bfloat16):
        loss = build()(scores.bfloat16(), labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, build()(scores, labels), rtol=0.01, atol=0)


@pytest.mark.parametrize('options', [dict(ignored='left out'), dict(loss_weight=-1.0)])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        build(**options)
