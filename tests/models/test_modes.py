"""Every head as modules of torch.nn behave: types, layouts, copies, empty batches, materialization, sharding."""

import copy
import math
import pickle

import pytest
import torch
from mmseg.registry import MODELS

from tests import tiny_heads
from tests.replicas import replica_of
from tests.tiny_heads import HEADS


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    return tiny_heads.clip_folders(tmp_path_factory.mktemp('clip'))


@pytest.fixture
def head_and_features(folders):
    def build(name):
        model = tiny_heads.build(name, folders)
        images = model.data_preprocessor(tiny_heads.batch((32, 32), (32, 32)), True)['inputs']
        with torch.no_grad():
            features = [map_ + 0.1 for map_ in model.extract_feat(images)]  # no pixel at the origin
        return model.decode_head.eval(), features

    return build


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize('name', HEADS)
def test_a_cast_head_predicts_the_same(head_and_features, name, dtype):
    head, features = head_and_features(name)
    expected = head(features)
    head.to(dtype)
    cast = [map_.to(dtype).requires_grad_() for map_ in features]
    found = head(cast)
    tolerance = {torch.float16: 0.01, torch.bfloat16: 0.08, torch.float64: 1e-4}[dtype]
    assert (found - expected).abs().max() < tolerance * expected.abs().max()
    found.float().square().mean().backward()
    assert all(map_.grad.isfinite().all() for map_ in cast if map_.grad is not None)
    assert all(p.grad.isfinite().all() for p in head.parameters() if p.grad is not None)


@pytest.mark.parametrize('name', HEADS)
def test_copies_layouts_and_parts_of_a_batch_predict_the_same(head_and_features, name):
    head, features = head_and_features(name)
    expected = head(features)
    torch.testing.assert_close(copy.deepcopy(head)(features), expected)
    if name == 'HyperCLIP':
        with pytest.raises(RuntimeError, match='Serialization of parametrized modules is only supported'):
            pickle.dumps(head)
    else:
        torch.testing.assert_close(pickle.loads(pickle.dumps(head))(features), expected)
    last = [map_.contiguous(memory_format=torch.channels_last) for map_ in features]
    torch.testing.assert_close(head.to(memory_format=torch.channels_last)(last), expected, rtol=1e-3, atol=1e-4)
    empty = [map_[:0].requires_grad_() for map_ in features]
    found = head(empty)
    assert found.shape == (0, *expected.shape[1:])
    found.sum().backward()


@pytest.mark.parametrize('name', HEADS)
def test_a_head_made_on_meta_is_materialized(head_and_features, folders, name):
    """Nothing of the uninitialized memory may stay after reset_parameters and init_weights."""
    fresh, features = head_and_features(name)
    with torch.device('meta'):
        head = MODELS.build(tiny_heads.config(name, folders)).decode_head
    assert all(tensor.is_meta for tensor in (*head.parameters(), *head.buffers()))
    head.to_empty(device='cpu')
    for tensor in (*head.parameters(), *head.buffers()):
        tensor.data.fill_(77)
    for module in head.modules():
        if callable(reset := getattr(module, 'reset_parameters', None)):
            reset()
    head.init_weights()
    expected = dict(fresh.named_parameters()) | dict(fresh.named_buffers())  # those too that are not saved
    found = dict(head.named_parameters()) | dict(head.named_buffers())
    assert expected.keys() == found.keys()
    for key, value in found.items():
        assert type(value) is type(expected[key]), key
        start = expected[key]
        if (start.numel() < 2 and not key.endswith('bias')) or start.float().std() == 0 or key.startswith('text.'):
            torch.testing.assert_close(value, start, msg=key)
        else:
            assert not (value == 77).any(), key
        # mmcv initializes a ConvModule in its constructor alone.
        if start.numel() > 15 and not key.startswith(('convs.', 'text.')):
            assert math.isclose(value.std(), start.std(), rel_tol=0.6), key
    assert head.eval()(features).isfinite().all()


@pytest.mark.parametrize('name', HEADS)
def test_a_replica_of_data_parallel_trains_the_original(head_and_features, name):
    head, features = head_and_features(name)
    expected = head(features)
    torch.testing.assert_close(replica_of(head)(features), expected)
    twin = copy.deepcopy(head).train()
    twin(features).float().square().mean().backward()
    replica_of(head.train())(features).float().square().mean().backward()
    for (key, parameter), other in zip(head.named_parameters(), twin.parameters(), strict=True):
        assert (parameter.grad is None) == (other.grad is None), key
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, other.grad, msg=key)
    measured = {key: value.clone() for key, value in head.named_buffers()}
    replica_of(head)([50 * map_ for map_ in features])  # the first batch alone is measured
    for key, value in head.named_buffers():
        assert torch.equal(value, measured[key]), key
