import copy

import geoopt
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from hyperbolic_seg.layers import RadiusScaling, add_radius_scaling, merge_radius_scaling

BLOCK = 4
MODULES = {
    'linear': lambda **options: nn.Linear(12, 5, **options),
    'packed': lambda **options: nn.MultiheadAttention(12, 3, batch_first=True, **options),
    'separate': lambda **options: nn.MultiheadAttention(12, 3, kdim=8, vdim=16, batch_first=True, **options),
}


@pytest.fixture(params=MODULES)
def make(request):
    torch.manual_seed(0)
    return MODULES[request.param]


def run(module):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(2, 7, 12, generator=generator)
    if isinstance(module, nn.Linear):
        return module(inputs)
    key, value = (torch.randn(2, 6, width, generator=generator) for width in (module.kdim, module.vdim))
    return module(inputs, key, value)[0]


def scalings(module):
    return [part for part in module.modules() if isinstance(part, RadiusScaling)]


def scaled(module, std=0.1):
    add_radius_scaling(module, BLOCK)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for scaling in scalings(module):
            scaling.delta.copy_(std * torch.randn(scaling.delta.shape, generator=generator))
    return module


def weights(module):
    names = ['weight'] if isinstance(module, nn.Linear) else ['in_proj_weight', *(f'{x}_proj_weight' for x in 'qkv')]
    return {name: getattr(module, name) for name in names if getattr(module, name) is not None}


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_untrained_it_returns_the_frozen_weights_exactly(make, dtype):
    plain = make(dtype=dtype)
    module = add_radius_scaling(copy.deepcopy(plain), BLOCK)
    for name, weight in weights(plain).items():
        assert torch.equal(weights(module)[name], weight) and weights(module)[name].dtype == dtype
        with torch.autocast('cpu', dtype=torch.bfloat16):
            assert torch.equal(weights(module)[name], weight)
    assert all(scaling.delta.dtype in (torch.float32, torch.float64) for scaling in scalings(module))


def test_untrained_the_forward_pass_is_the_same(make):
    plain = make()
    assert torch.equal(run(add_radius_scaling(copy.deepcopy(plain), BLOCK)), run(plain))


@pytest.mark.parametrize('c', [0.01, 0.7, 2.3])
@pytest.mark.parametrize('parts', [1, 3])
def test_it_is_the_moebius_product_with_a_block_diagonal_matrix(c, parts):
    torch.manual_seed(0)
    weight = 0.1 * torch.randn(6, 12, dtype=torch.float64)
    scaling = RadiusScaling(12, BLOCK, parts=parts).double()
    nn.init.normal_(scaling.delta, std=0.3)
    ball = geoopt.PoincareBall(c=torch.tensor(c, dtype=torch.float64))
    expected = []
    for rows, delta in zip(weight.chunk(parts), scaling.delta.detach(), strict=True):
        matrix = torch.eye(12, dtype=torch.float64) + torch.block_diag(*delta)
        product = ball.mobius_matvec(matrix, ball.expmap0(rows, project=False), project=False)
        expected.append(ball.logmap0(product))
        torch.testing.assert_close(expected[-1], rows @ matrix.T, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(scaling(weight), torch.cat(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_scaled_in_float32(dtype):
    scaling, weight = RadiusScaling(12, BLOCK), torch.randn(5, 12).to(dtype)
    nn.init.normal_(scaling.delta, std=0.1)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        result = scaling(weight)
    assert torch.equal(result, scaling(weight.float()).to(dtype))


def test_the_gradient_reaches_the_scaling_alone(make):
    module = add_radius_scaling(make().requires_grad_(False), BLOCK)
    run(module).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.requires_grad == name.endswith('.delta')
        assert (parameter.grad is not None) == name.endswith('.delta')
    for scaling in scalings(module):
        assert all(part.any() for part in scaling.delta.grad)


def test_what_is_not_scaled_stays_trainable():
    module = add_radius_scaling(MODULES['packed'](), BLOCK)
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    assert frozen == {'parametrizations.in_proj_weight.original'}


def test_merged_weights_are_the_scaled_ones(make):
    plain = make()
    module = scaled(copy.deepcopy(plain))
    expected, output = {name: weight.detach().clone() for name, weight in weights(module).items()}, run(module)
    assert merge_radius_scaling(module) is module
    assert type(module) is type(plain) and not parametrize.is_parametrized(module)
    assert module.state_dict().keys() == plain.state_dict().keys()
    for name, weight in weights(module).items():
        assert torch.equal(weight, expected[name]) and not torch.equal(weight, weights(plain)[name])
        assert isinstance(weight, nn.Parameter) and not weight.requires_grad
    fresh = make()
    fresh.load_state_dict(module.state_dict())
    assert torch.equal(run(fresh), output)


@pytest.mark.parametrize('training', [True, False])
def test_self_attention_is_that_of_the_merged_weights(training):
    torch.manual_seed(0)
    module = scaled(nn.MultiheadAttention(12, 2, batch_first=True)).train(training)
    x = torch.randn(2, 7, 12)
    with torch.no_grad():
        output = module(x, x, x)[0]
        with parametrize.cached():
            assert torch.equal(module(x, x, x)[0], output)
        torch.testing.assert_close(merge_radius_scaling(module)(x, x, x)[0], output)


def test_merging_leaves_tied_weights_alone():
    module, tied = nn.Linear(12, 5), nn.Linear(12, 5)
    tied.weight = module.weight
    before = tied.weight.detach().clone()
    merge_radius_scaling(scaled(module))
    assert torch.equal(tied.weight, before) and not torch.equal(module.weight, before)


def test_it_compiles_without_a_break():
    module = scaled(MODULES['linear']())
    x = torch.randn(3, 12)
    compiled = torch.compile(module, backend='aot_eager', fullgraph=True)
    torch.testing.assert_close(compiled(x), module(x))
    compiled(x).square().sum().backward()
    assert module.parametrizations.weight[0].delta.grad.any() and module.parametrizations.weight.original.grad is None


def test_copies_are_independent_and_states_round_trip(make):
    module = scaled(make())
    twin = copy.deepcopy(module)
    assert torch.equal(run(twin), run(module))
    with torch.no_grad():
        scalings(twin)[0].delta.add_(1.0)
    assert not torch.equal(run(twin), run(module))
    twin.load_state_dict(module.state_dict())
    assert torch.equal(run(twin), run(module))
    merge_radius_scaling(twin)
    assert parametrize.is_parametrized(module)


def test_trainable_parameters_are_as_many_as_published():
    # ViT-B/16: twelve layers in each of the two encoders; half precision keeps the test small.
    towers = nn.ModuleList(nn.MultiheadAttention(width, 8, dtype=torch.float16) for width in [512] * 12 + [768] * 12)
    towers.requires_grad_(False)
    for layer in towers:
        add_radius_scaling(layer)
    assert sum(parameter.numel() for parameter in towers.parameters() if parameter.requires_grad) == 5_898_240


def test_wrong_modules_and_block_sizes_are_named():
    module = MODULES['separate']()
    with pytest.raises(ValueError, match='block_size must divide the length of the rows, got 12 for rows of 8'):
        add_radius_scaling(module, 12)
    assert not parametrize.is_parametrized(module) and module.q_proj_weight.requires_grad
    with pytest.raises(ValueError, match='parts must be positive, got 0'):
        RadiusScaling(12, BLOCK, parts=0)
    with pytest.raises(ValueError, match=r'expected a weight of shape \(R, 12\), R a multiple of 3, got \(5, 12\)'):
        RadiusScaling(12, BLOCK, parts=3)(torch.zeros(5, 12))
    for action in (add_radius_scaling, merge_radius_scaling):
        with pytest.raises(TypeError, match=r'Conv2d has no weights to adapt: expected nn\.Linear or'):
            action(nn.Conv2d(4, 4, 1))


def test_adding_twice_and_merging_nothing_are_named(make):
    module, name = make(), type(make()).__name__
    with pytest.raises(ValueError, match=f'this {name} has no RadiusScaling to merge'):
        merge_radius_scaling(module)
    before = set(add_radius_scaling(module, BLOCK).state_dict())
    with pytest.raises(
        ValueError,
        match=f'weight of this {name} is parametrized already: expected a plain weight.*merge_radius_scaling',
    ):
        add_radius_scaling(module, BLOCK)
    assert set(module.state_dict()) == before


def test_parametrizations_of_others_are_not_merged_away():
    module = add_radius_scaling(MODULES['linear'](), BLOCK)
    parametrize.register_parametrization(module, 'weight', nn.Identity())
    with pytest.raises(ValueError, match='weight of this Linear has parametrizations beside its RadiusScaling'):
        merge_radius_scaling(module)
    assert parametrize.is_parametrized(module)


def on_the_ball(rows, matrix, c):
    """Scale rows as the released code does: through the ball, with its limits near the rim."""
    root, length = c**0.5, rows.norm(dim=1, keepdim=True)
    points = (root * length).tanh() * rows / (root * length)
    moved, norm = points @ matrix.T, points.norm(dim=1, keepdim=True)
    ratio = moved.norm(dim=1, keepdim=True) / norm
    radius = (ratio * (root * norm).clamp_max(1 - 1e-5).atanh()).tanh() / root
    radius = radius.clamp_max((1 - 1e-3) / root)
    return (root * radius).atanh() / root * moved / moved.norm(dim=1, keepdim=True)


@pytest.mark.parametrize('c', [0.01, 0.7, 1.0, 2.3])
def test_with_a_curvature_it_is_what_the_released_code_computes_on_the_ball(c):
    torch.manual_seed(0)
    scaling = RadiusScaling(12, 12, curvature=c).double()
    nn.init.normal_(scaling.delta, std=0.3)
    weight = torch.randn(60, 12).double() * torch.linspace(0.02, 3, 60)[:, None] / c**0.5
    matrix = torch.eye(12, dtype=torch.float64) + scaling.delta.detach()[0, 0]
    expected, found = on_the_ball(weight, matrix, c), scaling(weight)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert (weight.norm(dim=1) * c**0.5 > 6.2).any(), 'some rows are cut before scaling'
    cut = found.norm(dim=1) * c**0.5 > 3.8
    assert 0 < cut.sum() < 60, 'some rows are cut after scaling'
    with pytest.raises(ValueError, match='curvature must be positive'):
        RadiusScaling(12, 12, curvature=0.0)
