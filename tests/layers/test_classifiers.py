import subprocess
import sys

import pytest
import torch

from hyperbolic_seg.engine.optimizers import RiemannianAdam
from hyperbolic_seg.geometry import exterior_angle, from_ball, half_aperture, mlr_logits, pairwise_distance
from hyperbolic_seg.layers import EntailmentCones, HyperbolicMLR, HyperbolicPrototypes


@pytest.mark.parametrize('layer', [HyperbolicMLR, HyperbolicPrototypes, EntailmentCones])
def test_rows_and_maps_give_the_same_logits(layer):
    torch.manual_seed(0)
    classifier = layer(6, 4, c=0.7)
    maps = torch.randn(2, 6, 3, 5)
    logits = classifier(maps)
    assert logits.shape == (2, 4, 3, 5)
    torch.testing.assert_close(logits.movedim(1, -1).reshape(-1, 4), classifier(maps.movedim(1, -1).reshape(-1, 6)))
    logits.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in classifier.parameters())


def test_logits_are_those_of_the_geometry():
    torch.manual_seed(0)
    v = torch.randn(9, 6)
    mlr, prototypes = HyperbolicMLR(6, 4, c=2.3), HyperbolicPrototypes(6, 4, c=0.3)
    torch.testing.assert_close(mlr(v), mlr_logits(v, mlr.weight, mlr.offset, 2.3))
    torch.testing.assert_close(prototypes(v), -pairwise_distance(v, prototypes.weight, 0.3))
    cones = EntailmentCones(6, 4, k=0.2, scale=3, c=0.7)
    angles = torch.stack([exterior_angle(row.expand_as(v), v, 0.7) for row in cones.weight], -1)
    expected = 3 * (half_aperture(cones.weight, 0.7, 0.2) - angles)
    torch.testing.assert_close(cones(v), expected, rtol=1e-4, atol=1e-5)


def test_cones_are_positive_inside_alone():
    cones = EntailmentCones(2, 1, k=0.1, c=0.7)
    with torch.no_grad():
        cones.weight.copy_(torch.tensor([[0.6, 0.0]]))
    logits = cones(torch.tensor([[1.5, 0.0], [1.5, 0.01], [0.2, 0.0], [0.0, 1.5]]))[:, 0]
    assert (logits[:2] > 0).all() and (logits[2:] < 0).all()


@pytest.mark.parametrize('c', [0.3, 1.7])
def test_prototypes_on_the_ball_move_on_it(c):
    torch.manual_seed(0)
    v, target = torch.randn(64, 3) * 0.5, torch.arange(64) % 3
    v += torch.nn.functional.one_hot(target, 3)
    layer = HyperbolicPrototypes(3, 3, c=c, on_ball=True)
    torch.testing.assert_close(layer(v), -pairwise_distance(v, from_ball(layer.points.detach(), c), c))
    optimizer = RiemannianAdam(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(layer(v), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        assert (c**0.5 * layer.points.norm(dim=-1) < 1).all()
    assert losses[-1] < 0.8 * losses[0]
    before = layer.points.clone()
    layer.reset_parameters()
    assert not torch.equal(layer.points, before) and (c**0.5 * layer.points.norm(dim=-1) < 1).all()
    with pytest.raises(ValueError, match='points on a ball belong to one curvature'):
        HyperbolicPrototypes(3, 3, on_ball=True, learned=True)


@pytest.mark.parametrize('layer', [HyperbolicMLR, HyperbolicPrototypes, EntailmentCones])
def test_training_lowers_the_loss_and_moves_the_curvature(layer):
    torch.manual_seed(0)
    v, target = torch.randn(64, 5), torch.arange(64) % 3
    v[:, :3] += 2 * torch.nn.functional.one_hot(target, 3)
    classifier = layer(5, 3, learned=True)
    start = classifier.curvature().item()
    optimizer = torch.optim.Adam(classifier.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(classifier(v), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert classifier.curvature().item() != start


def test_wrong_channels_and_options_are_named():
    with pytest.raises(ValueError, match=r'expected 6 channels in dimension 1.*got \(2, 5\)'):
        HyperbolicMLR(6, 3)(torch.zeros(2, 5))
    with pytest.raises(ValueError, match='num_classes=0: expected at least 1'):
        HyperbolicPrototypes(6, 0)
    with pytest.raises(ValueError, match='k and scale must be positive, got 0 and 5'):
        EntailmentCones(6, 3, k=0)


def test_layers_need_torch_numpy_and_geoopt_alone():
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'mmseg', 'mmcv', 'mmengine', 'open_clip', 'cv2', 'yaml', 'torchvision'}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == 'mmseg' else find(name, *a)
import torch, hyperbolic_seg.geometry, hyperbolic_seg.layers
print(hyperbolic_seg.layers.HyperbolicMLR(3, 2)(torch.ones(1, 3)).shape)
"""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'torch.Size([1, 2])' in done.stdout
