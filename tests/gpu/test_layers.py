"""Layers on a GPU: equal to the CPU, in half precision, compiled, exported, and the same from run to run."""

import copy

import pytest
import torch

from tests.layers.test_deployment import LAYERS, layer_and_input
from tests.stack import needs_export

NAMES = [name for name in LAYERS if not name.endswith('of rows')]
CLASSIFIERS = ('mlr', 'prototypes', 'cones')


def step(layer, v):
    """Return output and gradients of a forward and backward pass, on the CPU."""
    v = v.detach().clone().requires_grad_()
    out = layer(v)
    out.float().square().mean().backward()
    return [one.detach().cpu() for one in (out, v.grad, *(p.grad for p in layer.parameters()))]


@pytest.mark.parametrize('name', NAMES)
def test_output_and_gradients_equal_those_of_the_cpu(name, device):
    layer, v = layer_and_input(name)
    expected = step(copy.deepcopy(layer), v)
    found = step(layer.to(device), v.to(device))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize('name', NAMES)
def test_autocast_stays_near_float32(name, dtype, device):
    layer, v = layer_and_input(name)
    expected = step(copy.deepcopy(layer), v)
    layer = layer.to(device)
    with torch.autocast(device.type, dtype=dtype):
        found = step(layer, v.to(device))
    for one, other in zip(found, expected, strict=True):
        assert one.isfinite().all()
        assert (one.float() - other).abs().max() <= 0.1 * other.abs().max() + 1e-4


@needs_export
@pytest.mark.parametrize('name', CLASSIFIERS)
def test_a_compiled_classifier_trains_as_the_eager_one(name, device):
    layer, v = layer_and_input(name)
    layer, v = layer.to(device), v.to(device)
    expected = step(copy.deepcopy(layer), v)
    torch.compiler.reset()
    found = step(torch.compile(layer, fullgraph=True), v)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


@needs_export
@pytest.mark.parametrize('name', CLASSIFIERS)
def test_an_exported_classifier_equals_the_eager_one(name, device):
    layer, v = layer_and_input(name)
    layer, v = layer.to(device).eval(), v.to(device)
    exported = torch.export.export(layer, (v,)).module()
    torch.testing.assert_close(exported(v), layer(v), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_a_step_is_the_same_each_time(name, device):
    layer, v = layer_and_input(name, free=(4, 32, 32))
    layer, v = layer.to(device), v.to(device)
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (step(copy.deepcopy(layer), v) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
