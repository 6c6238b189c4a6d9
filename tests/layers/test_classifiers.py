import subprocess
import sys

import pytest
import torch

from hyperbolic_seg.geometry import mlr_logits, pairwise_distance
from hyperbolic_seg.layers import HyperbolicMLR, HyperbolicPrototypes


@pytest.mark.parametrize('layer', [HyperbolicMLR, HyperbolicPrototypes])
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


@pytest.mark.parametrize('layer', [HyperbolicMLR, HyperbolicPrototypes])
def test_it_learns_with_its_curvature(layer):
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


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match=r'expected 6 channels in dimension 1.*got \(2, 5\)'):
        HyperbolicMLR(6, 3)(torch.zeros(2, 5))
    with pytest.raises(ValueError, match='must be positive'):
        HyperbolicPrototypes(6, 0)


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
