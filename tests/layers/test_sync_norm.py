"""Batch normalization over two processes is that of one process with the joint batch."""

import copy

import pytest
import torch
from mmcv.cnn import build_norm_layer
from torch import nn

from hyperbolic_seg import layers
from tests import processes

# A process of two: trains a step on its part of the batch.
SCRIPT = """
import datetime, sys
import torch
import torch.distributed

folder = sys.argv[1]
torch.set_num_threads(1)
torch.distributed.init_process_group('gloo', timeout=datetime.timedelta(seconds=60))
rank = torch.distributed.get_rank()
norm, parts, weights = torch.load(f'{folder}/given.pt', weights_only=False)
v = parts[rank].requires_grad_()
out = norm(v)
(out * weights[rank]).sum().backward()
gradients = [parameter.grad for parameter in norm.parameters()]
torch.save((out.detach(), v.grad, gradients, norm.state_dict()), f'{folder}/{rank}.pt')
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


@pytest.mark.parametrize('sizes', [(3, 3), (1, 4), (4, 0)], ids=str)
@pytest.mark.parametrize('rho', [0.5, 12.0])
def test_two_processes_normalize_as_one(tmp_path, sizes, rho):
    torch.manual_seed(0)
    c, d = 0.3, 6
    joint = torch.randn(sum(sizes), d, 3, 2, dtype=torch.float64)
    joint *= rho / (2 * c**0.5 * d**0.5)
    joint[0] += 0.7  # the halves differ
    norm = layers.HyperbolicSyncBatchNorm(d, c=c).double()
    nn.init.normal_(norm.bias, std=0.1)
    weight = torch.randn_like(joint)
    torch.save((norm, joint.split(sizes), weight.split(sizes)), tmp_path / 'given.pt')
    (tmp_path / 'work.py').write_text(SCRIPT)
    ranks = processes.run_ranks(2, tmp_path / 'work.py', tmp_path, port=29651, cwd=tmp_path)
    assert [rank.returncode for rank in ranks] == [0, 0], ranks[0].stderr
    found = [torch.load(tmp_path / f'{rank}.pt', weights_only=False) for rank in (0, 1)]
    alone, whole = layers.HyperbolicBatchNorm2d(d, c=c).double(), joint.clone().requires_grad_()
    alone.load_state_dict(norm.state_dict())
    expected = alone(whole)
    (expected * weight).sum().backward()
    torch.testing.assert_close(torch.cat([result[0] for result in found]), expected.detach())
    torch.testing.assert_close(torch.cat([result[1] for result in found]), whole.grad)
    for both, parameter in zip(zip(*(result[2] for result in found), strict=True), alone.parameters(), strict=True):
        torch.testing.assert_close(sum(both), parameter.grad)
    for result in found:
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(result[3][name], value, msg=name)


def test_alone_it_is_the_base_class():
    torch.manual_seed(0)
    base, v = layers.HyperbolicBatchNorm2d(4, c=0.2), torch.randn(3, 4, 5, 5)
    sync = layers.HyperbolicSyncBatchNorm(4, c=0.2)
    torch.testing.assert_close(sync(v), base(v))
    torch.testing.assert_close(sync.eval()(v), base.eval()(v))


def test_layers_are_converted_and_built_by_name():
    norm = layers.HyperbolicBatchNorm2d(4, c=0.2)
    norm(torch.randn(3, 4, 5, 5))
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(norm), nn.BatchNorm2d(4))
    state = copy.deepcopy(model.state_dict())
    converted = layers.HyperbolicSyncBatchNorm.convert_sync_batchnorm(model)
    assert type(converted[1][0]) is layers.HyperbolicSyncBatchNorm and type(converted[2]) is nn.BatchNorm2d
    assert all(torch.equal(value, state[name]) for name, value in converted.state_dict().items())
    name, built = build_norm_layer(dict(type='HyperbolicSyncBN', c=0.2), 4)
    assert name == 'bn' and isinstance(built, layers.HyperbolicSyncBatchNorm)
