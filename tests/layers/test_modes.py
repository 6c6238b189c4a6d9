"""Every layer as modules of torch.nn behave: types, layouts, copies, empty batches, materialization from meta."""

import copy
import math
import pickle

import pytest
import torch
from torch import nn

from hyperbolic_seg import layers
from hyperbolic_seg.layers import Curvature
from tests.layers.test_deployment import LAYERS, layer_and_input
from tests.replicas import replica_of

CLASSIFIERS = ('mlr', 'prototypes', 'cones')
NAMES = [name for name in LAYERS if not name.endswith('of rows')]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize('name', NAMES)
def test_a_cast_layer_takes_and_returns_its_type(name, dtype):
    layer, v = layer_and_input(name)
    expected = layer_and_input(name)[0](v)
    layer, v = layer.to(dtype), v.to(dtype).requires_grad_()
    out = layer(v)
    # Logits stay in float32, which a loss needs.
    assert out.dtype == (torch.float32 if name in CLASSIFIERS and dtype != torch.float64 else dtype)
    tolerance = {torch.float16: 5e-3, torch.bfloat16: 3e-2, torch.float64: 1e-5}[dtype]
    assert (out.float() - expected).abs().max() < tolerance * expected.abs().max()
    out.float().square().mean().backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in (v, *layer.parameters()))
    moved = layer(v.detach())
    assert moved.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_a_cast_model_of_our_layers_and_others_runs(dtype):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        layers.HyperbolicConv2d(8, 8, 3, c=0.01),
        layers.HyperbolicBatchNorm2d(8, c=0.01),
        layers.HyperbolicReLU(c=0.01),
        layers.HyperbolicAvgPool2d(2, c=0.01),
        nn.Conv2d(8, 4, 1),
        layers.HyperbolicMLR(4, 3),
    )
    images = torch.randn(2, 3, 12, 12)
    expected = copy.deepcopy(model).eval()(images)
    found = model.to(dtype).eval()(images.to(dtype))
    assert (found.float() - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize('learned', [False, True])
@pytest.mark.parametrize('cast', [nn.Module.half, nn.Module.bfloat16, lambda module: module.to(torch.float16)])
def test_a_curvature_survives_half_precision(cast, learned):
    curvature = Curvature(1e-9, learned=learned)
    before = curvature().item()
    cast(curvature)
    assert curvature().dtype == torch.float32 and curvature().item() == before
    assert curvature.double()().dtype == torch.float64
    assert curvature().item() == pytest.approx(before, rel=1e-6)


@pytest.mark.parametrize('name', NAMES)
def test_an_empty_batch_gives_an_empty_result_and_changes_no_statistics(name):
    layer, v = layer_and_input(name)
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    empty = v[:0].requires_grad_()
    out = layer(empty)
    assert out.shape == (0, *layer(v).shape[1:])
    out.sum().backward()
    assert empty.grad.shape == empty.shape
    layer, _ = layer_and_input(name)
    layer(empty)
    for key, value in layer.state_dict().items():
        if not key.endswith('num_batches_tracked'):
            torch.testing.assert_close(value, before[key], msg=key)


def test_one_value_per_channel_is_refused_in_training_as_by_batch_norm():
    ours, theirs, v = layers.HyperbolicBatchNorm2d(3), nn.BatchNorm2d(3), torch.ones(1, 3, 1, 1)
    for norm in (ours, theirs):
        with pytest.raises(ValueError, match=r'(?i)expected more than 1 value per channel'):
            norm(v)
        assert norm.eval()(v).isfinite().all()
    assert torch.equal(ours.running_mean, torch.zeros(3)) and ours.num_batches_tracked == 0


@pytest.mark.parametrize('name', [name for name in NAMES if LAYERS[name][1] == LAYERS['conv'][1]])
def test_the_layout_of_memory_does_not_matter(name):
    layer, v = layer_and_input(name)
    twin, w = copy.deepcopy(layer), v.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(twin(w), layer(v), rtol=1e-4, atol=1e-5)
    transposed = v.transpose(2, 3).contiguous().transpose(2, 3)
    torch.testing.assert_close(copy.deepcopy(twin)(transposed), layer(v), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('name', NAMES)
def test_a_layer_is_copied_and_pickled(name):
    layer, v = layer_and_input(name)
    layer(v)
    layer.eval()
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(twin(v), layer(v))


@pytest.mark.parametrize('name', NAMES)
def test_a_layer_made_on_meta_is_materialized_by_reset_parameters(name):
    """As FSDP and Hugging Face do: nothing of the uninitialized memory may stay."""
    with torch.device('meta'):
        layer = LAYERS[name][0]()
    assert all(tensor.is_meta for tensor in (*layer.parameters(), *layer.buffers()))
    layer.to_empty(device='cpu')
    for tensor in (*layer.parameters(), *layer.buffers()):
        tensor.data.fill_(77)
    for module in layer.modules():
        if callable(reset := getattr(module, 'reset_parameters', None)):
            reset()
    assert not [name for name, tensor in layer.state_dict().items() if (tensor == 77).any()]
    torch.manual_seed(0)
    fresh = LAYERS[name][0]()
    for (key, value), expected in zip(layer.state_dict().items(), fresh.state_dict().values(), strict=True):
        if expected.numel() < 2 or expected.std() == 0:
            torch.testing.assert_close(value, expected, msg=key)
        else:
            assert math.isclose(value.std(), expected.std(), rel_tol=0.6), key
    _, v = layer_and_input(name)
    assert layer(v).isfinite().all()


@pytest.mark.parametrize('name', NAMES)
def test_a_replica_of_data_parallel_trains_the_original(name):
    layer, v = layer_and_input(name)
    twin, v = copy.deepcopy(layer), v.requires_grad_()
    replica_of(layer)(v).square().mean().backward()
    twin(v).square().mean().backward()
    for (key, parameter), other in zip(layer.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad, msg=key)
    for (key, value), other in zip(layer.named_buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(value, other, msg=key)


@pytest.mark.parametrize('name', NAMES)
def test_autocast_keeps_float32(name):
    layer, v = layer_and_input(name)
    expected = copy.deepcopy(layer)(v)
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(layer(v), expected, rtol=1e-3, atol=1e-4)
