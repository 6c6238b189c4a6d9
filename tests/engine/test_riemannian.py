import copy
import io

import geoopt
import pytest
import torch
from mmengine.optim import CosineAnnealingLR, build_optim_wrapper
from torch import nn

from hyperbolic_seg.engine import RiemannianAdam, RiemannianSGD

OPTIMIZERS = [RiemannianAdam, RiemannianSGD]


def ball(c=0.7):
    return geoopt.PoincareBall(c=torch.tensor(c, dtype=torch.float64))


def points(*shape, c=0.7, seed=0, spread=0.5):
    tangent = spread * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return ball(c).expmap0(tangent)


class Model(nn.Module):
    """A Euclidean layer and prototypes on the ball."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(5, 3).double()
        self.prototypes = geoopt.ManifoldParameter(points(4, 3), manifold=ball())

    def forward(self, inputs):
        embedded = ball().expmap0(self.linear(inputs))
        return ball().dist(embedded[:, None], self.prototypes).square().mean()


def needs_names():
    if not hasattr(torch.amp, 'GradScaler'):
        pytest.skip('optimizers of this torch take no names')


def params(model, form):
    if form == 'list':
        return list(model.parameters())
    if form == 'generator':
        return model.parameters()
    if form == 'named':
        needs_names()
        return model.named_parameters()
    if form == 'group':
        return [dict(params=model.parameters(), weight_decay=0.5)]
    if form == 'groups':
        return [dict(params=[model.prototypes, model.linear.weight], lr=0.02), dict(params=model.linear.bias)]
    return [dict(params=parameter, weight_decay=0.5) for parameter in model.parameters()]


def decayed(optimizer, model):
    """Take steps with the gradient of weight decay alone; return the names of parameters that moved."""
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for _ in range(3):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) or (parameter.norm() < before[name].norm())
    return {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}


@pytest.mark.parametrize('form', ['list', 'generator', 'named', 'group', 'groups', 'one group each'])
@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_weight_decay_leaves_points_of_the_ball_where_they_are(kind, form):
    model = Model()
    optimizer = kind(params(model, form), lr=0.01, weight_decay=0.5)
    assert sum(len(group['params']) for group in optimizer.param_groups) == 3
    assert decayed(optimizer, model) == {'linear.weight', 'linear.bias'}


@pytest.mark.parametrize('form', ['list', 'one group each'])
@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_decay_manifold_also_decays_points_of_the_ball(kind, form):
    model = Model()
    optimizer = kind(params(model, form), lr=0.01, weight_decay=0.5, decay_manifold=True)
    assert len(optimizer.param_groups) == (1 if form == 'list' else 3)
    assert decayed(optimizer, model) == {'linear.weight', 'linear.bias', 'prototypes'}


def test_a_divided_group_keeps_its_options_and_the_one_given():
    needs_names()
    model = Model()
    given = dict(params=list(model.named_parameters()), lr=0.3, initial_lr=0.4, stabilize=7, note='x')
    optimizer = RiemannianAdam([given], lr=0.1, weight_decay=0.5)
    euclidean, curved = optimizer.param_groups
    assert sorted(euclidean['param_names']) == ['linear.bias', 'linear.weight'] and euclidean['weight_decay'] == 0.5
    assert curved['param_names'] == ['prototypes'] and curved['weight_decay'] == 0
    assert curved['params'][0] is model.prototypes
    for group in (euclidean, curved):
        assert (group['lr'], group['initial_lr'], group['stabilize'], group['note']) == (0.3, 0.4, 7, 'x')
    assert len(given['params']) == 3 and 'weight_decay' not in given

    again = RiemannianSGD([dict(params=list(model.parameters()), param_names=['p', 'w', 'b'])], lr=0.1)
    assert {name for group in again.param_groups for name in group['param_names']} == {'p', 'w', 'b'}
    assert again.param_groups[1]['param_names'] == ['p']


def test_what_torch_refuses_is_refused():
    model = Model()
    with pytest.raises(TypeError, match='ordered collections'):
        RiemannianAdam([dict(params=set(model.parameters()))])
    with pytest.raises(ValueError, match='more than one parameter group'):
        RiemannianAdam([dict(params=model.prototypes), dict(params=model.parameters())])
    with pytest.raises(TypeError, match='fused'):
        RiemannianAdam(model.parameters(), fused=True)


@pytest.mark.parametrize('c', [0.1, 0.7, 2.3])
@pytest.mark.parametrize(
    'kind, options', [(RiemannianAdam, {}), (RiemannianSGD, {}), (RiemannianSGD, {'momentum': 0.9})]
)
def test_it_finds_the_midpoint_of_points(kind, options, c):
    # geoopt's midpoint is the centroid of Law et al. (2019): it minimizes the sum of cosh(sqrt(c) d).
    given = points(12, 3, c=c)
    weights = torch.rand(12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mean = geoopt.ManifoldParameter(points(3, c=c, seed=2), manifold=ball(c))
    rate = 0.02 if kind is RiemannianAdam else 0.1 if not options else 0.01
    optimizer = kind([mean], lr=rate, weight_decay=0.5, **options)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    for _ in range(400):
        optimizer.zero_grad()
        loss = (weights * torch.cosh(c**0.5 * ball(c).dist(mean, given))).sum() / c
        loss.backward()
        optimizer.step()
        schedule.step()
    optimum = ball(c).weighted_midpoint(given, weights, reducedim=[0])
    torch.testing.assert_close(mean.detach(), optimum, rtol=0, atol=1e-4)


@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_points_stay_on_the_ball(kind):
    space = geoopt.PoincareBall(c=2.3)
    point = geoopt.ManifoldParameter(points(8, 3, c=2.3).float(), manifold=space)
    optimizer = kind([point], lr=10.0)
    for _ in range(20):
        optimizer.zero_grad()
        (-space.dist0(point).sum()).backward()
        optimizer.step()
        assert point.isfinite().all() and (2.3 * point.square().sum(dim=-1) < 1).all()


@pytest.mark.parametrize(
    'ours, theirs, options',
    [
        (RiemannianAdam, torch.optim.Adam, dict(weight_decay=0.1)),
        (RiemannianAdam, torch.optim.Adam, dict(amsgrad=True)),
        (RiemannianSGD, torch.optim.SGD, dict(weight_decay=0.1)),
        (RiemannianSGD, torch.optim.SGD, dict(momentum=0.9)),
        (RiemannianSGD, torch.optim.SGD, dict(momentum=0.9, nesterov=True)),
    ],
)
def test_euclidean_parameters_are_stepped_as_by_torch(ours, theirs, options):
    layers = [nn.Linear(4, 2).double()]
    layers.append(copy.deepcopy(layers[0]))
    inputs = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for kind, layer in zip((ours, theirs), layers, strict=True):
        optimizer = kind(layer.parameters(), lr=0.05, **options)
        for _ in range(5):
            optimizer.zero_grad()
            layer(inputs).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(layers[0].weight, layers[1].weight)


def test_momentum_starts_from_the_riemannian_gradient():
    start, moved = points(4, 3, spread=2.0), []
    for momentum in (0.0, 0.9):
        point = geoopt.ManifoldParameter(start.clone(), manifold=ball())
        optimizer = RiemannianSGD([point], lr=0.1, momentum=momentum)
        ball().dist0(point).sum().backward()
        optimizer.step()
        moved.append(point.detach())
    assert torch.equal(*moved)


def wrapper(model, **options):
    optimizer = options.pop('optimizer', dict(type='RiemannianAdam', lr=1e-3, weight_decay=0.01))
    return build_optim_wrapper(model, dict(type='OptimWrapper', optimizer=optimizer, **options))


@pytest.mark.parametrize('name', ['RiemannianAdam', 'RiemannianSGD'])
def test_mmengine_builds_the_optimizer_without_decay_of_points(name):
    model = Model()
    built = wrapper(model, optimizer=dict(type=name, lr=0.01, weight_decay=0.5))
    assert type(built.optimizer).__name__ == name
    assert [group['weight_decay'] for group in built.optimizer.param_groups] == [0.5, 0]
    assert decayed(built.optimizer, model) == {'linear.weight', 'linear.bias'}


@pytest.mark.parametrize(
    'paramwise, expected',
    [
        (dict(bias_decay_mult=0.0), {'weight': (1e-3, 0.01), 'bias': (1e-3, 0.0), 'prototypes': (1e-3, 0.0)}),
        (dict(bias_lr_mult=2.0), {'weight': (1e-3, 0.01), 'bias': (2e-3, 0.01), 'prototypes': (1e-3, 0.0)}),
        (
            dict(custom_keys={'prototypes': dict(lr_mult=0.1, decay_mult=3.0), 'linear': dict(lr_mult=5.0)}),
            {'weight': (5e-3, 0.01), 'bias': (5e-3, 0.01), 'prototypes': (1e-4, 0.0)},
        ),
    ],
)
def test_mmengine_builds_it_with_options_per_parameter(paramwise, expected):
    model = Model()
    built = wrapper(model, paramwise_cfg=paramwise)
    names = {id(parameter): name.split('.')[-1] for name, parameter in model.named_parameters()}
    found = {
        names[id(group['params'][0])]: (pytest.approx(group['lr']), pytest.approx(group['weight_decay']))
        for group in built.optimizer.param_groups
    }
    assert found == expected and len(built.optimizer.param_groups) == 3


@pytest.mark.parametrize('paramwise', [None, dict(custom_keys={'prototypes': dict(lr_mult=0.1)})])
def test_schedules_scale_every_group(paramwise):
    model = Model()
    built = wrapper(model, paramwise_cfg=paramwise)
    schedule = CosineAnnealingLR(built, T_max=10, eta_min_ratio=0.0, by_epoch=False)
    start = [group['lr'] for group in built.optimizer.param_groups]
    for _ in range(5):
        built.update_params(model(torch.ones(2, 5).double()))
        schedule.step()
    for group, rate in zip(built.optimizer.param_groups, start, strict=True):
        assert group['lr'] == pytest.approx(rate / 2) and group['initial_lr'] == rate


@pytest.mark.parametrize(
    'optimizer',
    [
        dict(type='RiemannianAdam', lr=0.01, weight_decay=0.01, amsgrad=True, stabilize=2),
        dict(type='RiemannianSGD', lr=0.01, weight_decay=0.01, momentum=0.9, stabilize=2),
    ],
)
@pytest.mark.parametrize('paramwise', [None, dict(bias_decay_mult=0.0)])
def test_a_resumed_training_is_the_same_training(optimizer, paramwise):
    inputs = torch.randn(8, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def train(model, built, batches):
        for batch in batches:
            built.update_params(model(batch))

    model = Model()
    built = wrapper(model, optimizer=optimizer, paramwise_cfg=paramwise)
    train(model, built, inputs[:4])
    file = io.BytesIO()
    torch.save(dict(model=model.state_dict(), optimizer=built.state_dict()), file)
    train(model, built, inputs[4:])

    file.seek(0)
    checkpoint, resumed = torch.load(file, weights_only=True), Model()
    resumed.load_state_dict(checkpoint['model'])
    rebuilt = wrapper(resumed, optimizer=optimizer, paramwise_cfg=paramwise)
    rebuilt.load_state_dict(checkpoint['optimizer'])
    train(resumed, rebuilt, inputs[4:])
    for parameter, other in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(parameter, other)


@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_a_gradient_scaler_steps_it(kind):
    if not hasattr(torch.amp, 'GradScaler'):
        pytest.skip('this torch scales gradients on GPUs only')
    results = []
    for scaler in (torch.amp.GradScaler('cpu', init_scale=1024.0), torch.amp.GradScaler('cpu', enabled=False)):
        model = Model()
        optimizer = kind(model.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            scaler.scale(model(torch.ones(2, 5).double())).backward()
            scaler.step(optimizer)
            scaler.update()
        results.append(model.prototypes.detach())
    torch.testing.assert_close(*results)
    assert not torch.equal(results[0], Model().prototypes)
