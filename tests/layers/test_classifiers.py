import copy
import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from hyperbolic_seg.engine.optimizers import RiemannianAdam
from hyperbolic_seg.geometry import exterior_angle, from_ball, half_aperture, mlr_logits, pairwise_distance, radius
from hyperbolic_seg.layers import EntailmentCones, HyperbolicMLR, HyperbolicPrototypes

LAYERS = [HyperbolicMLR, HyperbolicPrototypes, EntailmentCones]


@pytest.mark.parametrize('layer', LAYERS)
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
    mlr, prototypes = HyperbolicMLR(6, 4, c=2.3), HyperbolicPrototypes(6, 4, c=0.3, scale=2)
    cones = EntailmentCones(6, 4, k=0.2, scale=3, c=0.7)
    for layer in (mlr, prototypes, cones):
        move(layer)
    torch.testing.assert_close(mlr(v), mlr_logits(v, mlr.weight / 4, mlr.offset, 2.3))
    expected = radius(v)[:, None] - pairwise_distance(v, prototypes.weight, 0.3)
    torch.testing.assert_close(prototypes(v), prototypes.log_scale.exp() * expected + prototypes.bias)
    apexes = cones.apexes()
    angles = torch.stack([exterior_angle(row.expand_as(v), v, 0.7) for row in apexes], -1)
    torch.testing.assert_close(half_aperture(apexes, 0.7, 0.2), cones.half_apertures())
    torch.testing.assert_close(F.cosine_similarity(apexes, cones.weight), torch.ones(4))
    factors = 3 * cones.weight.norm(dim=1)
    expected = factors * (half_aperture(apexes, 0.7, 0.2) - angles + cones.shift) + cones.bias
    torch.testing.assert_close(cones(v), expected, rtol=1e-4, atol=1e-5)


def move(layer):
    """Move all parameters from their start."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.3 * torch.randn_like(parameter)


def relu_normal(*shape):
    """Draw features as they are after a normalization and a ReLU."""
    return torch.randn(*shape).relu()


@pytest.mark.parametrize('num_classes', [2, 19, 171])
@pytest.mark.parametrize('channels', [16, 64, 512, 2048])
@pytest.mark.parametrize('layer', LAYERS)
def test_a_training_starts_at_the_entropy_of_a_guess(layer, channels, num_classes):
    torch.manual_seed(0)
    v, target = relu_normal(2000, channels), torch.randint(0, num_classes, (2000,))
    loss = F.cross_entropy(layer(channels, num_classes)(v), target)
    assert loss.item() == pytest.approx(math.log(num_classes), rel=0.1)


@pytest.mark.parametrize('c', [1e-4, 0.1, 1.0])
def test_regression_starts_there_at_any_curvature(c):
    torch.manual_seed(0)
    v, target = relu_normal(2000, 512), torch.randint(0, 19, (2000,))
    loss = F.cross_entropy(HyperbolicMLR(512, 19, c=c)(v), target)
    assert loss.item() == pytest.approx(math.log(19), rel=0.1)


@pytest.mark.parametrize('channels', [16, 512, 2048])
@pytest.mark.parametrize('layer', LAYERS)
def test_a_sigmoid_starts_at_a_half_and_learns_one_class(layer, channels):
    torch.manual_seed(0)
    classifier, v = layer(channels, 1), relu_normal(400, channels)
    target = (torch.arange(400) % 2).float()
    before = F.binary_cross_entropy_with_logits(classifier(v)[:, 0], target)
    assert before.item() == pytest.approx(math.log(2), rel=0.1)
    v[::2, : channels // 2] *= 0.3
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.01, momentum=0.9)
    for _ in range(60 if channels > 100 else 400):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(classifier(v)[:, 0], target).backward()
        optimizer.step()
    right = ((classifier(v)[:, 0] > 0) == (target > 0)).float().mean()
    assert right > (0.95 if channels > 100 else 0.84)  # a linear layer: 1 and 0.86


@pytest.mark.parametrize('layer', [HyperbolicMLR, HyperbolicPrototypes])
def test_near_the_origin_it_is_the_linear_layer(layer):
    torch.manual_seed(0)
    classifier = layer(64, 5, c=1e-8).double()
    v = relu_normal(20, 64).double()
    v *= classifier.typical_length / v.norm(dim=1, keepdim=True)
    expected = v @ classifier.weight.t()
    torch.testing.assert_close(classifier(v), expected, rtol=0.02, atol=0.03)


@pytest.mark.parametrize('layer', LAYERS)
def test_a_calibrated_classifier_does_not_see_the_scale_of_features(layer):
    torch.manual_seed(0)
    v = relu_normal(3000, 64)
    plain, calibrated = layer(64, 7), layer(64, 7, calibrate=True)
    calibrated.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(calibrated.eval()(v), plain(v))  # nothing was measured
    scaled = calibrated.train()(1000 * v)
    torch.testing.assert_close(scaled, plain(v), rtol=0.05, atol=0.02)
    assert calibrated.feature_scale.item() == pytest.approx(1e-3, rel=0.05)
    torch.testing.assert_close(calibrated(2000 * v), calibrated.eval()(2000 * v))  # the first batch alone counts
    resumed = layer(64, 7, calibrate=True)
    resumed.load_state_dict(calibrated.state_dict())
    torch.testing.assert_close(resumed.train()(5 * v), calibrated(5 * v))
    assert torch.equal(resumed.feature_scale, calibrated.feature_scale)
    copy.deepcopy(resumed).reset_parameters()
    resumed.reset_parameters()
    assert resumed(v).isfinite().all() and resumed.feature_scale.item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize('batch', [torch.zeros(4, 8), torch.empty(0, 8), torch.full((4, 8), torch.nan)])
def test_a_batch_without_a_scale_sets_none(batch):
    layer = HyperbolicMLR(8, 3, calibrate=True)
    layer(batch)
    assert layer.feature_scale.item() == 0 and layer(torch.ones(4, 8)).isfinite().all()
    assert layer.feature_scale.item() == pytest.approx(0.5**0.5), 'the next batch is measured'


def test_a_calibrated_classifier_compiles_to_one_graph():
    torch.manual_seed(0)
    layer, v = HyperbolicMLR(8, 3, calibrate=True), 5 * relu_normal(32, 8)
    twin = copy.deepcopy(layer)
    compiled = torch.compile(twin, fullgraph=True, backend='aot_eager')
    for _ in range(2):
        torch.testing.assert_close(compiled(v), layer(v))
    torch.testing.assert_close(twin.feature_scale, layer.feature_scale)


def test_cones_are_positive_inside_alone():
    cones = EntailmentCones(2, 1, k=0.1, c=0.7)
    with torch.no_grad():
        cones.weight.copy_(torch.tensor([[2.0, 0.0]]))
        cones.width.fill_(0.1)
        cones.bias.fill_(-2 * cones.angle_scale * cones.shift)
    logits = cones(torch.tensor([[1.5, 0.0], [1.5, 0.01], [0.1, 0.0], [0.0, 1.5]]))[:, 0]
    assert (logits[:2] > 0).all() and (logits[2:] < 0).all()


@pytest.mark.parametrize('c', [0.3, 1.7])
def test_prototypes_on_the_ball_move_on_it(c):
    torch.manual_seed(0)
    v, target = torch.randn(64, 3) * 0.5, torch.arange(64) % 3
    v += torch.nn.functional.one_hot(target, 3)
    layer = HyperbolicPrototypes(3, 3, c=c, scale=1, on_ball=True)
    expected = radius(v)[:, None] - pairwise_distance(v, from_ball(layer.points.detach(), c), c)
    torch.testing.assert_close(layer(v), expected)
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


@pytest.mark.parametrize('layer', LAYERS)
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
    with pytest.raises(ValueError, match='k and scale must be positive, got k=0'):
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
