import pytest
import torch
from mmseg.registry import MODELS

from hyperbolic_seg.geometry import exterior_angle, half_aperture, radius
from hyperbolic_seg.text import Taxonomy

TREE = Taxonomy.load('sky')


def nodes(dims=8):
    torch.manual_seed(0)
    return torch.nn.Parameter(0.5 * torch.randn(len(TREE.nodes), dims))


def descend(loss, parameter, steps=600):
    optimizer = torch.optim.Adam([parameter], lr=0.03)
    # Steps that shrink to nothing: constant ones jump about the apex of a cone, and rounding decides where they end.
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(parameter).backward()
        optimizer.step()
        schedule.step()
    return loss(parameter).item()


def test_radii_follow_the_depth():
    loss = MODELS.build(dict(type='TextRadiusLoss', taxonomy='sky', nearest=1.0, farthest=4.0))
    found = nodes()
    assert descend(loss, found) < 1e-4
    by_name = dict(zip(TREE.nodes.names, radius(found).tolist(), strict=True))
    for name, expected in {'everything': 1.0, 'cloud': 2.0, 'high cloud': 3.0, 'cirrus': 4.0, 'sun': 3.0}.items():
        assert by_name[name] == pytest.approx(expected, abs=0.05)
    assert all(radius(found)[parent] < radius(found)[child] for parent, child in TREE.edges)


def test_kinds_come_into_the_cones_of_what_they_are():
    loss = MODELS.build(dict(type='TextEntailmentLoss', taxonomy='sky', k=0.05, loss_weight=1.0))
    found = nodes()
    before = loss(found).item()
    assert descend(loss, found) < 0.02 * before
    c = torch.tensor(1.0)
    parents, children = torch.tensor(TREE.edges).T
    inside = exterior_angle(found[parents], found[children], c) <= half_aperture(found[parents], c, 0.05) + 0.05
    assert inside.float().mean() > 0.9


def test_weights_scale_the_losses():
    for kind in ('TextRadiusLoss', 'TextEntailmentLoss'):
        options = dict(type=kind, taxonomy='sky')
        one, half = (MODELS.build(options | dict(loss_weight=weight))(nodes()) for weight in (1.0, 0.5))
        torch.testing.assert_close(half, 0.5 * one)


def test_radii_that_shrink_are_refused():
    with pytest.raises(ValueError, match='grow from the root to the leaves'):
        MODELS.build(dict(type='TextRadiusLoss', taxonomy='sky', nearest=2.0, farthest=1.0))
