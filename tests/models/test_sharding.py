"""Two processes with shards of a model train as one process with all of it."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from hyperbolic_seg import layers
from tests import processes, tiny_heads
from tests.stack import needs_sharding

pytestmark = needs_sharding

DEFERRED = ('distance', 'multilabel', 'hyperbolic MLR', 'entailment cones', 'layers')
WHOLE = ('CAT-Seg', 'HyperCLIP')
"""Made on meta and initialized in shards, and made whole and sharded then, since a CLIP needs its weights."""
BLOCKWISE = ('CAT-Seg', 'HyperCLIP', 'SED', 'on ViT')
"""Towers whose blocks are sharded each by itself, and recompute their activations."""

# A process of two. For every model: shard, initialize, take the given weights, train a step on its part of the batch.
SCRIPT = """
import datetime, sys
from functools import partial
import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.fsdp.wrap import lambda_auto_wrap_policy
from mmengine.model import MMFullyShardedDataParallel
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from tests.models.test_sharding import BLOCKWISE, DEFERRED, make, recompute, step
import hyperbolic_seg.plugin
from hyperbolic_seg.engine import tower_blocks

folder = sys.argv[1]
torch.set_num_threads(1)
dist.init_process_group('gloo', timeout=datetime.timedelta(seconds=60))
rank, mesh = dist.get_rank(), init_device_mesh('cpu', (2,))
init_default_scope('mmseg')
given, found = torch.load(f'{folder}/given.pt', weights_only=False), {}
full = StateDictOptions(full_state_dict=True)


def materialize(module, recurse=True):
    if not any(tensor.is_meta for tensor in (*module.parameters(recurse), *module.buffers(recurse))):
        return  # the data preprocessor, which FSDP offers too
    module.to_empty(device='cpu', recurse=recurse)
    for tensor in (*module.parameters(recurse), *module.buffers(recurse)):
        tensor.data.fill_(77)
    for one in module.modules() if recurse else [module]:
        if callable(reset := getattr(one, 'reset_parameters', None)):
            reset()


def shard(name, config, state):
    with torch.device('meta' if name in DEFERRED else 'cpu'):
        model = make(name, config)
    if name not in DEFERRED:
        model.init_weights()
    fully_shard(model, mesh=mesh)
    if name in DEFERRED:
        materialize(model)
        if config is not None:
            model.data_preprocessor = MODELS.build(config.data_preprocessor)  # MMSegmentation has no reset for it
            model.init_weights()
    start = {key: value.clone() for key, value in get_model_state_dict(model, options=full).items()}
    set_model_state_dict(model, dict(state), options=full)
    return model, start


def shard_by_mmengine(name, config, state):
    with torch.device('meta'):
        model = make(name, config)
    options = dict(use_orig_params=True, device_id=torch.device('cpu'), sync_module_states=False)
    model.data_preprocessor = MODELS.build(config.data_preprocessor)
    model = MMFullyShardedDataParallel(model, param_init_fn=lambda one: materialize(one, False), **options)
    start = {key: value.clone() for key, value in get_model_state_dict(model, options=full).items()}
    set_model_state_dict(model, dict(state), options=full)
    return model, start


def shard_by_blocks(name, config, state):
    model = make(name, recompute(config))
    model.init_weights()
    policy = partial(lambda_auto_wrap_policy, lambda_fn=set(tower_blocks(model)).__contains__)
    model = MMFullyShardedDataParallel(model, device_id=torch.device('cpu'), auto_wrap_policy=policy)
    start = {key: value.clone() for key, value in get_model_state_dict(model, options=full).items()}
    set_model_state_dict(model, dict(state), options=full)
    return model, start


named = {shard: given.keys() - {'SED', 'on ViT'}, shard_by_mmengine: ('distance', 'hyperbolic MLR')}
for way, names in (named | {shard_by_blocks: BLOCKWISE}).items():
    for name, (config, state, parts) in given.items():
        if name not in names:
            continue
        torch.manual_seed(0)
        model, start = way(name, config, state)
        try:
            step(model, parts[rank])
        except TypeError as error:
            found[way.__name__, name] = str(error)
        else:
            found[way.__name__, name] = start, get_model_state_dict(model, options=full)
torch.save(found, f'{folder}/{rank}.pt')
dist.barrier()
dist.destroy_process_group()
"""


class AllLayers(nn.Module):
    """Every layer once."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(
            layers.HyperbolicConv2d(3, 4, 3, c=0.1, learned=True),
            layers.HyperbolicSyncBatchNorm(4, c=0.1),
            layers.HyperbolicReLU(c=0.1),
            layers.HyperbolicAvgPool2d(2, c=0.1),
        )
        self.residual = layers.HyperbolicResidual(c=0.1, share=0.3, dim=2)
        self.attention = layers.HyperbolicAttention(4, 2, c=0.1)
        self.linear = layers.HyperbolicLinear(4, 4, c=0.1, learned=True)
        classifiers = (layers.HyperbolicMLR, layers.HyperbolicPrototypes, layers.EntailmentCones)
        self.classifiers = nn.ModuleList(kind(4, 3, learned=True, calibrate=True) for kind in classifiers)

    def forward(self, images):
        tokens = self.maps(images).flatten(2).mT
        tokens = self.residual(tokens, self.attention(tokens))
        features = self.linear(tokens.flatten(0, 1))
        return sum(classifier(features) for classifier in self.classifiers)


def make(name, config):
    """Build a model, without its weights."""
    if name != 'layers':
        return MODELS.build(config)
    return AllLayers()


def recompute(config):
    """Let the towers and the aggregation of a model recompute their activations."""
    config = copy.deepcopy(config)
    config.backbone.with_cp = True
    head = config.decode_head
    if 'aggregation' in head:
        head.aggregation.with_cp = head.text_encoder.with_cp = True
    return config


def step(model, part):
    """Train a step on a part of a batch."""
    model.train()
    if isinstance(part, dict):
        plain = getattr(model, 'module', model)
        losses = model(**plain.data_preprocessor(part, True), mode='loss')
        loss = plain.parse_losses(losses)[0]
    else:
        loss = model(part).square().mean()
    loss.backward()
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1).step()


def parts_of(name):
    if name == 'layers':
        return torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0)).split(2)
    data = tiny_heads.batch((32, 32), (32, 32))
    return [{key: values[i : i + 1] for key, values in data.items()} for i in range(2)]


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    """What the processes found, by way and model, and the models before and after the step in one process."""
    init_default_scope('mmseg')
    folder = tmp_path_factory.mktemp('shards')
    folders, given, alone = tiny_heads.clip_folders(folder), {}, {}
    for name in (*DEFERRED, *WHOLE, *BLOCKWISE[2:], 'hyperbolic prototypes'):
        torch.manual_seed(0)
        config = None if name == 'layers' else tiny_heads.config(name, folders)
        model, parts = make(name, config), parts_of(name)
        if config is not None:
            model.init_weights()
        start = {key: value.clone() for key, value in model.state_dict().items()}
        given[name] = config, start, parts
        joint = torch.cat(parts) if name == 'layers' else tiny_heads.batch((32, 32), (32, 32))
        step(model, joint)
        alone[name] = start, model.state_dict()
    torch.save(given, folder / 'given.pt')
    (folder / 'work.py').write_text(SCRIPT)
    ranks = processes.run_ranks(2, folder / 'work.py', folder, port=29661, cwd=folder)
    assert [rank.returncode for rank in ranks] == [0, 0], ranks[0].stderr[-3000:]
    return torch.load(folder / '0.pt', weights_only=False), alone


@pytest.mark.parametrize(
    ('way', 'name'),
    [
        *(('shard', name) for name in (*DEFERRED, *WHOLE)),
        *(('shard_by_mmengine', name) for name in ('distance', 'hyperbolic MLR')),
        *(('shard_by_blocks', name) for name in BLOCKWISE),
    ],
)
def test_a_sharded_model_starts_and_trains_as_a_whole_one(results, way, name):
    (start, trained), (own_start, expected) = results[0][way, name], results[1][name]
    assert start.keys() == own_start.keys()
    is_whole = way == 'shard_by_blocks' or name in WHOLE
    for key, value in own_start.items():
        if is_whole or (way == 'shard' and value.is_floating_point() and value.numel() > 1 and value.std() == 0):
            torch.testing.assert_close(start[key], value, msg=key)
        elif value.numel() > 1 and 'extra_state' not in key:
            assert not (start[key] == 77).any(), key
    for key, value in expected.items():
        difference = (trained[key].float() - value.float()).abs().max()
        assert difference <= 1e-5 + 1e-4 * value.float().abs().max(), (key, difference)
    assert any(not torch.equal(value, own_start[key]) for key, value in expected.items())


def test_points_of_a_ball_are_refused(results):
    assert 'not a geoopt.ManifoldParameter any more' in results[0]['shard', 'hyperbolic prototypes']
