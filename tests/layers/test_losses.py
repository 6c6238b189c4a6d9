import math

import pytest
import torch
import torch.nn.functional as F

from hyperbolic_seg.geometry import distance, exterior_angle, half_aperture, radius
from hyperbolic_seg.layers import (
    CompositionalLoss,
    ContrastiveLoss,
    EntailmentLoss,
    HierarchyLoss,
    HyperbolicPrototypes,
    RadiusLoss,
)

close = torch.testing.assert_close


def rows(seed, count=5, dim=4):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def test_entailment_is_what_leaves_the_cone():
    parent, child = rows(0) * 0.3, rows(1)
    angle, aperture = exterior_angle(parent, child, 0.7), half_aperture(parent, 0.7, 0.1)
    close(EntailmentLoss(c=0.7)(parent, child), (angle - aperture).clamp_min(0).mean())
    close(
        EntailmentLoss(c=9.0, slack=0.7)(parent, child, torch.tensor(0.7)), (angle - 0.7 * aperture).clamp_min(0).mean()
    )
    assert EntailmentLoss()(parent, 3 * parent) == 0
    assert EntailmentLoss()(3 * parent, parent) > math.pi / 2


def test_a_tree_is_laid_into_its_cones():
    edges = [(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6)]
    loss, nodes = HierarchyLoss(edges, c=0.7), (rows(3, 7, 2) * 0.3).requires_grad_()
    close(loss(nodes), EntailmentLoss(c=0.7)(nodes[[0, 0, 1, 1, 2, 2]], nodes[[1, 2, 3, 4, 5, 6]]))
    optimizer = torch.optim.Adam([nodes], lr=0.02)
    for _ in range(500):
        value = loss(nodes)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert value == 0
    # Order without a loss on the radius: who is entailed lies further out.
    lengths = radius(nodes.detach())
    assert all(lengths[child] > lengths[parent] for parent, child in edges)
    for wrong in ([], [(1, 1)]):
        with pytest.raises(ValueError, match=r'expected pairs \(parent, child\)'):
            HierarchyLoss(wrong)
    with pytest.raises(ValueError, match='the edges name row 6, got 3 embeddings'):
        loss(nodes[:3])


def test_contrast_is_the_cross_entropy_of_distances():
    v, w, target = rows(0), rows(1), torch.arange(5)
    logits = -torch.stack([distance(row.expand_as(w), w, 0.7) for row in v]) / 0.2
    expected = (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target)) / 2
    loss = ContrastiveLoss(temperature=0.2, c=0.7)
    close(loss(v, w), expected, rtol=1e-4, atol=1e-5)
    assert loss(v, v) < loss(v, w)
    loss(v, w).backward()
    assert loss.log_scale.grad.isfinite()
    assert not ContrastiveLoss(learned=False).log_scale.requires_grad
    with torch.no_grad():
        loss.log_scale.fill_(100.0)
    assert loss.logits(v, w).isfinite().all()  # the temperature stays above 0.01
    with pytest.raises(ValueError, match='temperature=.*expected at least 0.01'):
        ContrastiveLoss(temperature=0.001)


def test_compositional_loss_is_the_sum_of_its_parts():
    image, text, box, noun = (rows(seed) for seed in range(4))
    loss = CompositionalLoss(weight=0.3, c=0.7)
    losses = loss(image, text, box, noun)
    assert losses.keys() == {'loss_contrast', 'loss_entailment'}
    between, within = EntailmentLoss(slack=0.7, c=0.7), EntailmentLoss(slack=1.2, c=0.7)
    expected = between(text, image) + between(noun, box) + within(box, image) + within(noun, text)
    close(losses['loss_entailment'], 0.3 * expected)
    # Wholes as their own parts: both directions of the pair contrast twice.
    twice = loss(image, text, image, text)['loss_contrast']
    close(twice, ContrastiveLoss(c=0.7)(image, text))


def test_radius_loss_is_the_mean_squared_gap_to_the_target():
    v = torch.tensor([[3.0, 4.0], [0.0, 1.0]], requires_grad=True)
    close(RadiusLoss(10.0)(v), torch.tensor((0 + 64) / 2.0))
    close(RadiusLoss()(v, torch.tensor([9.0, 2.0])), torch.tensor(0.5))
    close(RadiusLoss(10.0, dim=1)(v.t()[None]), torch.tensor(32.0))
    RadiusLoss(1.0)(torch.zeros(2, 3, requires_grad=True)).backward()  # at the origin there is no direction
    with pytest.raises(ValueError, match='no target radius'):
        RadiusLoss()(v)
    with pytest.raises(ValueError, match='target=-1: expected a radius of at least 0'):
        RadiusLoss(-1)


def test_losses_share_the_curvature_that_a_layer_learns():
    classifier = HyperbolicPrototypes(4, 3, c=0.5, learned=True)
    HierarchyLoss([(0, 1), (0, 2)])(classifier.weight, classifier.curvature()).backward()
    assert classifier.curvature.position.grad.isfinite()
    assert classifier.curvature.position.grad != 0
