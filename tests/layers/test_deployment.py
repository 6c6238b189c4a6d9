"""Every layer through torch.compile(fullgraph=True), torch.export and ONNX, with sizes left free."""

import copy
import functools
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from hyperbolic_seg import layers
from tests.stack import needs_export

pytestmark = needs_export

C = 0.3
# Layer, shape of its input with None for what is free.
MAPS, ROWS, TOKENS = (None, 8, None, None), (None, 8), (None, 6, 8)
LAYERS = {
    'mlr': (lambda: layers.HyperbolicMLR(8, 5, c=C, learned=True), MAPS),
    'mlr of rows': (lambda: layers.HyperbolicMLR(8, 5, c=C), ROWS),
    'prototypes': (lambda: layers.HyperbolicPrototypes(8, 5, c=C, learned=True), MAPS),
    'prototypes of rows': (lambda: layers.HyperbolicPrototypes(8, 5, c=C), ROWS),
    'cones': (lambda: layers.EntailmentCones(8, 5, c=C, learned=True), MAPS),
    'cones of rows': (lambda: layers.EntailmentCones(8, 5, c=C), ROWS),
    'linear': (lambda: layers.HyperbolicLinear(8, 4, c=C, learned=True), ROWS),
    'conv': (lambda: layers.HyperbolicConv2d(8, 6, 3, padding=1, c=C, learned=True), MAPS),
    'conv, strided in groups': (lambda: layers.HyperbolicConv2d(8, 6, 3, 2, 1, groups=2, c=C), MAPS),
    'norm': (lambda: layers.HyperbolicBatchNorm2d(8, c=C), MAPS),
    'activation': (lambda: layers.HyperbolicReLU(c=C), MAPS),
    'pool': (lambda: layers.HyperbolicAvgPool2d(2, c=C), MAPS),
    'residual': (lambda: _Doubled(layers.HyperbolicResidual(c=C, share=0.3)), MAPS),
    'attention': (lambda: layers.HyperbolicAttention(8, 2, c=C), TOKENS),
}


class _Doubled(nn.Module):
    """Gives a layer of two arguments one."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, v):
        return self.layer(v, v.flip(0))


def layer_and_input(name, free=(2, 8, 6)):
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    layer, sizes = make(), iter(free)
    for parameter in layer.parameters():
        if parameter.ndim < 2:  # offsets, which start at 0
            nn.init.normal_(parameter, std=0.1)
    return layer, 2 * torch.randn([next(sizes) if size is None else size for size in shape])


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


@pytest.mark.parametrize('name', LAYERS)
def test_compiled_layer_trains_as_the_eager_one(name):
    layer, v = layer_and_input(name)
    twin, w = copy.deepcopy(layer), v.clone()
    results = []
    # aot_eager traces what the default compiler traces, forward and backward, without a C++ compiler's time.
    for one, x in ((layer, v), (torch.compile(twin, fullgraph=True, backend='aot_eager'), w)):
        out = one(x.requires_grad_())
        out.square().mean().backward()
        results.append((out.detach(), x.grad, [p.grad for p in one.parameters()]))
    torch.testing.assert_close(results[1], results[0], rtol=1e-3, atol=1e-5)
    for (key, value), other in zip(layer.state_dict().items(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(other, value, msg=key)  # running statistics


@pytest.mark.parametrize('name', ['mlr', 'prototypes', 'cones', 'conv', 'norm'])
def test_default_compiler_makes_code_of_one_graph(name):
    layer, v = layer_and_input(name)
    expected = layer.eval()(v)
    torch.testing.assert_close(torch.compile(layer, fullgraph=True)(v), expected, rtol=1e-4, atol=1e-5)


def dynamic_shapes(name):
    """Names for the free sizes; maps come in multiples of 2."""
    shape = LAYERS[name][1]
    names = iter(('batch', 'height', 'width'))
    free = {}
    for place, size in enumerate(shape):
        if size is None:
            dim = torch.export.Dim(next(names), min=2, max=1024)
            free[place] = 2 * dim if place > 1 else dim
    return (free,)


@functools.cache
def exported(name):
    """A layer and its program, which two tests use."""
    layer, v = layer_and_input(name)
    with torch.no_grad():
        return layer, torch.export.export(layer.eval(), (v,), dynamic_shapes=dynamic_shapes(name))


@pytest.mark.parametrize('name', LAYERS)
def test_exported_layer_is_the_eager_one(name):
    layer, program = exported(name)
    program = program.module()
    for free in ((2, 8, 6), (5, 4, 12)):
        _, v = layer_and_input(name, free)
        torch.testing.assert_close(program(v), layer(v), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', LAYERS)
def test_onnx_is_the_eager_layer(name, tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    layer, program = exported(name)
    path = tmp_path / 'layer.onnx'
    with torch.no_grad():
        torch.onnx.export(program, dynamo=True, input_names=['v'], verbose=False).save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    for free in ((2, 8, 6), (5, 4, 12)):
        _, v = layer_and_input(name, free)
        with torch.no_grad():
            expected = layer(v).numpy()
        np.testing.assert_allclose(session.run(None, {'v': v.numpy()})[0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('name', LAYERS)
def test_a_layer_is_saved_and_copied(name, tmp_path):
    layer, v = layer_and_input(name)
    layer(v)
    torch.save(layer.state_dict(), tmp_path / 'layer.pt')
    other = LAYERS[name][0]()
    other.load_state_dict(torch.load(tmp_path / 'layer.pt', weights_only=True))
    torch.testing.assert_close(other.eval()(v), copy.deepcopy(layer).eval()(v))
    assert repr(layer)
