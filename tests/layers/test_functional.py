"""Layers and distances under the transforms of torch.func, against autograd, one sample at a time."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

from hyperbolic_seg import geometry, layers

C = 0.3
LAYERS = {
    'mlr': (lambda: layers.HyperbolicMLR(4, 3, c=C, learned=True), (4,)),
    'mlr of maps': (lambda: layers.HyperbolicMLR(4, 3, c=C, learned=True), (4, 2, 3)),
    'prototypes': (lambda: layers.HyperbolicPrototypes(4, 3, c=C, learned=True), (4,)),
    'prototypes of maps': (lambda: layers.HyperbolicPrototypes(4, 3, c=C), (4, 2, 3)),
    'prototypes on a ball': (lambda: layers.HyperbolicPrototypes(4, 3, c=C, on_ball=True), (4,)),
    'cones': (lambda: layers.EntailmentCones(4, 3, c=C, learned=True), (4, 2, 3)),
    'linear': (lambda: layers.HyperbolicLinear(4, 3, c=C, learned=True), (4,)),
    'conv': (lambda: layers.HyperbolicConv2d(4, 3, 3, padding=1, c=C, learned=True), (4, 3, 3)),
    'norm': (lambda: layers.HyperbolicBatchNorm2d(4, c=C).eval(), (4, 2, 3)),
    'activation': (lambda: layers.HyperbolicReLU(c=C), (4, 2, 3)),
    'pool': (lambda: layers.HyperbolicAvgPool2d(2, c=C), (4, 2, 4)),
    'attention': (lambda: layers.HyperbolicAttention(4, 2, c=C), (3, 4)),
}
FUNCTIONS = {
    'distance': lambda v, w: geometry.distance(v, w, C),
    'pairwise_distance': lambda v, w: geometry.pairwise_distance(v, w, C),
    'pairwise_exterior_angle': lambda v, w: geometry.pairwise_exterior_angle(v, w, C),
    'exterior_angle': lambda v, w: geometry.exterior_angle(v, w, C),
    'mlr_logits': lambda v, w: geometry.mlr_logits(v, w, w.sum(1) / 9, C),
    'mobius_add': lambda v, w: geometry.mobius_add(v, w, C),
    'midpoint': lambda v, w: geometry.midpoint(torch.stack([v, w], 1), None, C),
    'transport_to_origin': lambda v, w: geometry.transport_to_origin(v, w, C),
}


def built(name):
    """Return a layer in float64, off its start, and a batch of samples."""
    build, shape = LAYERS[name]
    torch.manual_seed(0)
    layer = build().double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer, torch.randn(5, *shape, dtype=torch.float64)


def parts(layer):
    """Return the parameters and buffers of a layer, detached."""
    return {key: value.detach() for key, value in layer.state_dict(keep_vars=True).items()}


@pytest.mark.parametrize('name', LAYERS)
def test_gradients_of_each_sample_are_those_of_the_sample_alone(name):
    layer, samples = built(name)
    trained = dict(layer.named_parameters())

    def loss(parameters, sample):
        return functional_call(layer, parameters, (sample[None],)).square().sum()

    got = vmap(grad(loss), (None, 0))({key: value.detach() for key, value in trained.items()}, samples)
    for number, sample in enumerate(samples):
        expected = torch.autograd.grad(layer(sample[None]).square().sum(), trained.values()) if trained else ()
        for (key, found), wanted in zip(got.items(), expected, strict=True):
            torch.testing.assert_close(found[number], wanted, msg=key)


@pytest.mark.parametrize('name', LAYERS)
def test_jacobians_and_products_with_them(name):
    layer, samples = built(name)
    sample, direction = samples[0], samples[1]
    expected = torch.autograd.functional.jacobian(lambda x: layer(x[None])[0], sample)
    for jacobian in (jacrev, jacfwd):
        torch.testing.assert_close(
            jacobian(lambda x: functional_call(layer, parts(layer), (x[None],))[0])(sample), expected
        )
    at_once = torch.autograd.functional.jacobian(lambda x: layer(x[None])[0], sample, vectorize=True)
    torch.testing.assert_close(at_once, expected)
    _, along = jvp(lambda x: layer(x[None])[0], (sample,), (direction,))
    flat = expected.reshape(*along.shape, -1)
    torch.testing.assert_close(along, flat @ direction.flatten())


@pytest.mark.parametrize('name', ['mlr', 'prototypes', 'cones', 'linear', 'attention'])
def test_hessians(name):
    layer, samples = built(name)
    sample = samples[0] if name != 'cones' else samples[0][:, 0, 0]
    expected = torch.autograd.functional.hessian(lambda x: layer(x[None]).square().sum(), sample)
    torch.testing.assert_close(hessian(lambda x: layer(x[None]).square().sum())(sample), expected)


@pytest.mark.parametrize('name', FUNCTIONS)
def test_functions(name):
    function = FUNCTIONS[name]
    torch.manual_seed(0)
    v, w = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(vmap(function)(v, w), torch.stack([function(*pair) for pair in zip(v, w, strict=True)]))
    expected = torch.autograd.functional.jacobian(lambda x: function(x, w[0]), v[0])
    for jacobian in (jacrev, jacfwd):
        torch.testing.assert_close(jacobian(lambda x: function(x, w[0]))(v[0]), expected)
    at_once = torch.autograd.functional.jacobian(lambda x: function(x, w[0]), v[0], vectorize=True)
    torch.testing.assert_close(at_once, expected)
    got = vmap(jacrev(function), (0, None))(v, w[0])
    torch.testing.assert_close(got[0], expected)


def test_ensembles_of_layers():
    members = [layers.HyperbolicMLR(4, 3) for _ in range(3)]
    stacked, _ = torch.func.stack_module_state(members)
    v = torch.randn(6, 4)
    got = vmap(lambda parameters: functional_call(members[0], parameters, (v,)))(stacked)
    torch.testing.assert_close(got, torch.stack([member(v) for member in members]))


def test_forward_mode_outside_of_a_transform():
    layer, samples = built('mlr')
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(samples, torch.ones_like(samples))
        along = torch.autograd.forward_ad.unpack_dual(layer(dual)).tangent
    expected = torch.autograd.functional.jvp(layer, samples, torch.ones_like(samples))[1]
    torch.testing.assert_close(along, expected)


def test_the_first_batch_cannot_be_measured_in_a_transform():
    layer = layers.HyperbolicMLR(4, 3, calibrate=True).train()
    with pytest.raises(RuntimeError, match='pass a batch through the module before'):
        vmap(lambda x: layer(x[None]))(torch.randn(5, 4))
    layer(torch.randn(5, 4))
    assert vmap(lambda x: layer(x[None]))(torch.randn(5, 4)).shape == (5, 1, 3)


def test_an_ordinary_layer_in_a_transform_and_after_it():
    layer, samples = built('conv')
    before = nn.functional.mse_loss(layer(samples), torch.zeros(()).double().expand_as(layer(samples)))
    jacrev(lambda x: layer(x[None]))(samples[0])
    before.backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
