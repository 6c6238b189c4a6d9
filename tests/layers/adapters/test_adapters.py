"""Adapters start as the identity and can be merged; each keeps the radius, the angle or neither."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from hyperbolic_seg.layers import (
    ADAPTERS,
    Adapter,
    BlockRotation,
    LowRank,
    RadiusScaling,
    ScalingBank,
    SharedScaling,
    add_to_tower,
    count_parameters,
    load_tower,
    merge_tower,
)

OPTIONS = {
    'RadiusScaling': dict(block_size=4, curvature=1.0),
    'BlockRotation': dict(block_size=4),
    'SharedScaling': dict(count=3, block_size=4),
    'LowRank': dict(rank=2, alpha=4),
}


@pytest.fixture(params=OPTIONS)
def kind(request):
    return request.param


def test_every_adapter_is_tested():
    assert OPTIONS.keys() == ADAPTERS.keys()


class Tower(nn.Module):
    """Three attention blocks, one of them with weights of its own for queries, keys and values."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(
            nn.MultiheadAttention(12, 3, batch_first=True, dtype=dtype, **sizes)
            for sizes in ({}, dict(kdim=8, vdim=16), {})
        )

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x, x[..., : block.kdim], torch.cat([x, x], -1)[..., : block.vdim])[0]
        return x


def data():
    return torch.randn(2, 7, 12, generator=torch.Generator().manual_seed(1))


def adapted(kind, **options):
    return add_to_tower(Tower(), kind, **OPTIONS[kind] | options)


def trained(module):
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def perturb(module, std=0.3):
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if ('parametrizations' in name and '.original' not in name) or 'adapter_bank' in name:
                parameter.add_(std * torch.randn(parameter.shape, generator=generator))
    return module


def weights(tower):
    for block in tower.blocks:
        names = ['in_proj_weight', 'q_proj_weight', 'k_proj_weight', 'v_proj_weight']
        yield from (getattr(block, name) for name in names if getattr(block, name) is not None)
        yield block.out_proj.weight


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('autocast', [False, True])
def test_untrained_it_returns_the_frozen_weights_exactly(kind, dtype, autocast):
    plain = Tower(dtype)
    tower = add_to_tower(copy.deepcopy(plain), kind, **OPTIONS[kind])
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=autocast):
        for found, expected in zip(weights(tower), weights(plain), strict=True):
            assert torch.equal(found, expected) and found.dtype == dtype


@pytest.mark.parametrize('out_proj', [False, True])
def test_gradients_flow_at_the_first_step_and_to_the_adapter_alone(kind, out_proj):
    tower = adapted(kind, out_proj=out_proj)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        tower(data()).float().square().sum().backward()
    frozen = {'in_proj_weight', 'q_proj_weight', 'k_proj_weight', 'v_proj_weight'}
    for name, parameter in tower.named_parameters():
        if '.original' in name:
            assert not parameter.requires_grad and parameter.grad is None, name
    own = {name: p for name, p in tower.named_parameters() if '.0.' in name.partition('parametrizations')[2]}
    assert own and all(p.grad is not None and p.grad.isfinite().all() for p in own.values())
    places = {name.split('parametrizations.')[1].split('.')[0] for name in own}
    assert places == frozen | ({'weight'} if out_proj else set())
    # Of two factors the first step moves that at zero, and the next one both.
    still = {'LowRank': 'down', 'SharedScaling': 'coefficients'}.get(kind)
    for name, parameter in own.items():
        assert parameter.grad.any() == (name.split('.')[-1] != still), name
    if kind == 'SharedScaling':
        assert tower.adapter_bank.blocks.grad.any()
    perturb(tower).zero_grad()
    tower(data()).square().sum().backward()
    assert all(p.grad.any() for p in own.values())


def test_merged_weights_are_plain_and_the_same(kind):
    plain, tower = Tower(), perturb(adapted(kind))
    twin = copy.deepcopy(tower)
    expected, values = tower(data()).detach(), [weight.detach().clone() for weight in weights(tower)]
    assert not torch.allclose(expected, plain(data()), atol=1e-3)
    assert merge_tower(tower) is tower
    assert tower.state_dict().keys() == plain.state_dict().keys()
    assert not any(parametrize.is_parametrized(module) or isinstance(module, Adapter) for module in tower.modules())
    assert all(torch.equal(found, value) for found, value in zip(weights(tower), values, strict=True))
    plain.load_state_dict(tower.state_dict())
    torch.testing.assert_close(plain(data()), tower(data()))
    torch.testing.assert_close(tower(data()), expected)
    torch.testing.assert_close(twin(data()).detach(), expected)
    assert len([module for module in twin.modules() if isinstance(module, Adapter)]) > 3, 'a copy is not merged'
    torch.testing.assert_close(merge_tower(twin)(data()), expected)
    with pytest.raises(ValueError, match='this Tower has no adapter to merge'):
        merge_tower(tower)


def test_copies_are_independent_and_states_round_trip(kind):
    tower = perturb(adapted(kind))
    twin = copy.deepcopy(tower)
    assert torch.equal(twin(data()), tower(data()))
    expected = tower(data()).detach()
    perturb(twin)
    assert not torch.equal(twin(data()), expected) and torch.equal(tower(data()), expected)
    fresh = adapted(kind)
    fresh.load_state_dict(tower.state_dict())
    assert torch.equal(fresh(data()), expected)


def test_plain_weights_load_under_the_adapter(kind):
    tower, plain = perturb(adapted(kind)), Tower()
    before = {name: parameter.clone() for name, parameter in tower.named_parameters() if '.original' not in name}
    expected = copy.deepcopy(tower)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.mul_(0.5)
        for name, parameter in expected.named_parameters():
            if name.endswith('.original') or ('parametrizations' not in name and 'adapter_bank' not in name):
                parameter.mul_(0.5)
    load_tower(tower, plain.state_dict())
    assert torch.equal(tower(data()), expected(data()))
    own = {name for name in before if 'parametrizations' in name or 'adapter_bank' in name}
    after = dict(tower.named_parameters())
    assert own and all(torch.equal(after[name], before[name]) for name in own)


def test_adapted_weights_are_computed_once_where_cached(kind):
    tower = perturb(adapted(kind))
    calls = []
    for module in tower.modules():
        if isinstance(module, Adapter):
            module.register_forward_hook(lambda *_: calls.append(1))
    adapters = [module for module in tower.modules() if isinstance(module, Adapter)]
    expected = [tower(data()), tower(data())]
    assert len(calls) >= 2 * len(adapters)
    calls.clear()
    with parametrize.cached():
        assert torch.equal(torch.stack([tower(data()), tower(data())]), torch.stack(expected))
    assert len(calls) == len(adapters)


def test_it_is_counted_without_being_added(kind):
    plain = Tower().requires_grad_(False)
    before = dict(plain.state_dict())
    expected = sum(p.numel() for p in trained(add_to_tower(copy.deepcopy(plain), kind, **OPTIONS[kind])).values())
    assert count_parameters(plain, kind, **OPTIONS[kind]) == expected > 0
    assert plain.state_dict().keys() == before.keys() and not hasattr(plain, 'adapter_bank')
    assert count_parameters(plain, kind, blocks=(0,), **OPTIONS[kind]) < expected


def test_it_compiles_without_a_break(kind):
    module = perturb(add_to_tower(nn.ModuleList([nn.MultiheadAttention(12, 3)]), kind, **OPTIONS[kind]))[0]
    compiled = torch.compile(lambda: module.in_proj_weight.sum(), backend='aot_eager', fullgraph=True)
    torch.testing.assert_close(compiled(), module.in_proj_weight.sum())


# ------------------------------------------------------------------------------------------------ what each keeps


def rows(count=6, width=12):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(3))


def angles(found, expected):
    """Angles between rows in radians, exact for small ones."""
    u, v = (nn.functional.normalize(x.double(), dim=1) for x in (found, expected))
    return 2 * torch.atan2((u - v).norm(dim=1), (u + v).norm(dim=1))


def radii(x):
    return x.norm(dim=1)


@pytest.mark.parametrize('dtype, tolerance', [(torch.float32, 2e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize('size', [2, 3, 12])
def test_a_rotation_keeps_the_radius_and_turns_the_angle(dtype, tolerance, size):
    adapter = BlockRotation(12, size, parts=2).to(dtype)
    nn.init.normal_(adapter.skew, std=2.0, generator=torch.Generator().manual_seed(0))
    weight = rows().to(dtype)
    found = adapter(weight).detach()
    torch.testing.assert_close(radii(found), radii(weight), rtol=tolerance, atol=0)
    assert (angles(found, weight) > 0.3).all()
    # Every block keeps its own radius, and angles between rows of a part stay.
    torch.testing.assert_close(
        found.unflatten(1, (-1, size)).norm(dim=2), weight.unflatten(1, (-1, size)).norm(dim=2), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(found[:3] @ found[:3].T, weight[:3] @ weight[:3].T, rtol=1e-5, atol=1e-5)


def test_a_rotation_in_the_plane_has_twice_the_arc_tangent_as_its_angle():
    adapter = BlockRotation(2, 2)
    nn.init.constant_(adapter.skew, 0.5)
    turned = adapter(torch.tensor([[1.0, 0.0]]))[0].detach()
    angle = 2 * torch.tensor(0.5).atan()
    torch.testing.assert_close(turned, torch.stack([angle.cos(), angle.sin()]))
    with pytest.raises(ValueError, match='must divide the length of the rows and be at least 2, got 1'):
        BlockRotation(12, 1)


def test_a_scaling_by_a_number_keeps_the_angle_and_scales_the_radius():
    adapter = RadiusScaling(12, 4)
    with torch.no_grad():
        adapter.delta.copy_(0.7 * torch.eye(4))
    found = adapter(rows()).detach()
    torch.testing.assert_close(radii(found), 1.7 * radii(rows()))
    assert (angles(found, rows()) < 1e-6).all()
    nn.init.normal_(adapter.delta, std=0.3, generator=torch.Generator().manual_seed(0))
    assert (angles(adapter(rows()).detach(), rows()) > 0.1).all(), 'in general both change'


def test_the_rim_limits_the_radius_and_keeps_the_angle():
    adapter = RadiusScaling(12, 4, curvature=1.0)
    long = 10 * rows()
    found = adapter(long).detach()
    torch.testing.assert_close(radii(found), torch.full((6,), 3.8002), rtol=1e-5, atol=0)
    assert (angles(found, long) < 1e-6).all()


def test_shared_scalings_are_mixed_from_the_bank():
    bank = ScalingBank(count=3, block_size=4)
    adapter = SharedScaling(12, bank, parts=2)
    assert adapter.bank is bank and list(dict(adapter.named_parameters())) == ['coefficients']
    nn.init.normal_(bank.blocks, generator=torch.Generator().manual_seed(0))
    weight, found = rows(), adapter(rows())
    for part in range(2):
        for block in range(3):
            scale = torch.eye(4) + sum(
                a * b for a, b in zip(adapter.coefficients[part, block], bank.blocks, strict=True)
            )
            chosen = slice(3 * part, 3 * part + 3), slice(4 * block, 4 * block + 4)
            torch.testing.assert_close(found[chosen], weight[chosen] @ scale.T)
    with pytest.raises(ValueError, match='block_size must divide the length of the rows, got 4 for rows of 10'):
        SharedScaling(10, bank)


def test_a_low_rank_change_has_that_rank_and_size():
    adapter = LowRank(12, 6, rank=2, alpha=3.0, parts=2)
    nn.init.normal_(adapter.up, generator=torch.Generator().manual_seed(0))
    change = adapter(rows()).detach() - rows()
    for part in range(2):
        assert torch.linalg.matrix_rank(change[3 * part : 3 * part + 3], atol=1e-4) == 2
        expected = 1.5 * adapter.up[part] @ adapter.down[part]
        torch.testing.assert_close(change[3 * part : 3 * part + 3], expected.detach(), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match='rank must be positive, got 0'):
        LowRank(12, 6, rank=0)
    with pytest.raises(ValueError, match='6 rows do not divide into 4 parts'):
        LowRank(12, 6, parts=4)
