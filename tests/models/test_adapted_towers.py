"""Both towers of CLIP with adapters of every type, and with queries and values that train alone."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from hyperbolic_seg.layers import ADAPTERS, share_bank
from hyperbolic_seg.models import OpenCLIPVisionBackbone
from hyperbolic_seg.text import TextTower
from tests.tiny_clip import save_model

WORDS = ['a red barn', 'wet grass']
TYPES = {
    'RadiusScaling': dict(block_size=16, curvature=1.0),
    'BlockRotation': dict(block_size=16),
    'SharedScaling': dict(block_size=16, count=3),
    'LowRank': dict(rank=4),
}
QUERIES_AND_VALUES = ('q_proj', 'v_proj')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp('clip'))


@pytest.fixture(params=[OpenCLIPVisionBackbone, TextTower], ids=['vision', 'text'])
def tower(request, folder):
    def build(**options):
        torch.manual_seed(0)
        built = request.param(f'local-dir:{folder}', None, **options)
        built.init_weights()
        return built

    return build


def run(tower):
    if isinstance(tower, TextTower):
        return tower(WORDS)
    return tower(torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(1)))[-1]


def trained(module):
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def perturb(module, std=0.1):
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trained(module).values():
            parameter.add_(std * torch.randn_like(parameter))
    return module


def plain_names(module):
    return set(getattr(module, 'visual' if hasattr(module, 'visual') else 'tower').state_dict())


def test_every_type_is_tested():
    assert TYPES.keys() == ADAPTERS.keys()


@pytest.mark.parametrize('kind', TYPES)
def test_towers_start_as_they_are_train_their_adapters_and_merge(tower, kind):
    plain, own = tower(), tower(adapter=dict(type=kind, **TYPES[kind]))
    torch.testing.assert_close(run(own), run(plain))
    run(own).square()[..., :5].sum().backward()
    assert any(parameter.grad.any() for parameter in trained(own).values())
    assert all('parametrizations' in name or 'adapter_bank' in name for name in trained(own))
    expected = run(perturb(own)).detach()
    assert not torch.allclose(expected, run(plain), atol=1e-3)
    twin = copy.deepcopy(own)
    other = tower(adapter=dict(type=kind, **TYPES[kind]))
    other.load_state_dict(own.state_dict())
    torch.testing.assert_close(run(other).detach(), expected)
    torch.testing.assert_close(run(own.merge_adapter()).detach(), expected, rtol=1e-4, atol=1e-5)
    assert plain_names(own) == plain_names(plain)
    torch.testing.assert_close(run(twin).detach(), expected)


def test_queries_and_values_train_alone_and_merge(tower):
    plain, own = tower(), tower(trainable=QUERIES_AND_VALUES)
    torch.testing.assert_close(run(own), run(plain))
    blocks = len(trained(own)) // 2
    assert blocks == (2 if isinstance(own, TextTower) else 3)
    ends = ('attn.parametrizations.in_proj_weight.original0', 'attn.parametrizations.in_proj_weight.original2')
    assert all(name.endswith(ends) for name in trained(own))
    before = {name: parameter.clone() for name, parameter in own.named_parameters()}
    optimizer = torch.optim.AdamW(own.parameters(), lr=1e-2, weight_decay=0.5)
    run(own).square()[..., :5].sum().backward()
    optimizer.step()
    for name, parameter in own.named_parameters():
        assert torch.equal(parameter, before[name]) != parameter.requires_grad, name
    twin = tower(trainable=QUERIES_AND_VALUES)
    twin.load_state_dict(own.state_dict())
    expected = run(own).detach()
    torch.testing.assert_close(run(copy.deepcopy(twin)).detach(), expected)
    torch.testing.assert_close(run(own.merge_adapter()).detach(), expected)
    assert plain_names(own) == plain_names(plain)


@pytest.mark.parametrize(
    'options', [dict(trainable=QUERIES_AND_VALUES), dict(adapter=dict(type='BlockRotation', block_size=16))]
)
def test_recomputing_gives_the_same_gradients(tower, options):
    found = []
    for with_cp in (False, True):
        own = perturb(tower(with_cp=with_cp, **options), 0.01)
        run(own).square()[..., :5].sum().backward()
        found.append([parameter.grad for parameter in trained(own).values()])
    assert all(gradient is not None for gradient in found[0])
    torch.testing.assert_close(found[1], found[0])


@pytest.fixture
def process_group(tmp_path):
    distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/rendezvous', rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize(
    'options', [dict(trainable=QUERIES_AND_VALUES), dict(adapter=dict(type='SharedScaling', block_size=16))]
)
def test_distributed_modules_train_it(tower, options, process_group):
    own, alone = tower(**options), tower(**options)
    wrapped = DistributedDataParallel(own)
    for module in (wrapped, alone):
        for _ in range(2):  # the second pass fails if parameters of the first were unused
            found = module(WORDS) if isinstance(own, TextTower) else module(torch.ones(1, 3, 48, 48))[-1]
            found.square()[..., :5].sum().backward()
    gradients = [{name: p.grad for name, p in trained(module).items()} for module in (own, alone)]
    torch.testing.assert_close(*gradients)


def test_the_last_vision_block_uses_no_queries(folder):
    own = OpenCLIPVisionBackbone(f'local-dir:{folder}', None, trainable=QUERIES_AND_VALUES)
    run(own).square().sum().backward()
    parts = own.visual.transformer.resblocks[-1].attn.parametrizations.in_proj_weight
    assert not parts.original0.grad.any() and parts.original2.grad.any()


def test_layer_decay_finds_the_blocks_and_leaves_the_bank(folder):
    source = dict(model=f'local-dir:{folder}', pretrained=None)
    bank = dict(type='SharedScaling', block_size=16, count=3)
    model = nn.ModuleDict(
        dict(
            backbone=OpenCLIPVisionBackbone(trainable=QUERIES_AND_VALUES, **source),
            text=TextTower(adapter=bank, **source),
        )
    )
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    config = dict(
        constructor='LayerDecayConstructor', optimizer=dict(type='SGD', lr=1.0), paramwise_cfg=dict(layer_decay=0.5)
    )
    groups = build_optim_wrapper(model, config).optimizer.param_groups
    rates = {names[id(parameter)]: group['lr'] for group in groups for parameter in group['params']}
    assert rates.keys() == trained(model).keys()
    for name, rate in rates.items():
        depth, last = (3, 2) if name.startswith('backbone') else (2, 1)
        block = int(name.split('resblocks.')[1].split('.')[0]) if 'resblocks' in name else last
        assert rate == 0.5 ** (depth - 1 - block), name
    assert rates['text.tower.adapter_bank.blocks'] == 1


def test_the_towers_of_a_segmentor_share_a_bank(folder):
    clip = dict(
        model=f'local-dir:{folder}', pretrained=None, adapter=dict(type='SharedScaling', block_size=16, count=3)
    )
    config = dict(
        type='HyperCLIPSegmentor',
        backbone=dict(type='OpenCLIPVisionBackbone', **clip),
        decode_head=dict(
            type='HyperCLIPHead',
            in_channels=32,
            channels=32,
            text_dims=32,
            vocabulary=WORDS,
            text_encoder=dict(type='OpenCLIPTextEncoder', **clip),
        ),
        test_cfg=dict(mode='whole'),
    )
    apart = MODELS.build(copy.deepcopy(config))
    assert sum('adapter_bank' in name for name in apart.state_dict()) == 2
    model = MODELS.build(config | dict(share_adapters=True))
    names = [name for name in model.state_dict() if 'adapter_bank' in name]
    assert names == ['backbone.visual.adapter_bank.blocks'] == [n for n in trained(model) if 'bank' in n]
    model.init_weights()
    bank = model.backbone.visual.adapter_bank.blocks
    model.decode_head.text.tower(WORDS).square()[:, :5].sum().backward()
    assert bank.grad.any(), 'texts train it'
    fresh = MODELS.build(config | dict(share_adapters=True))
    fresh.load_state_dict(perturb(model).state_dict())
    assert torch.equal(fresh.decode_head.text.tower(WORDS), model.decode_head.text.tower(WORDS))
    with pytest.raises(ValueError, match='expected one ScalingBank in each, got 1 and 0'):
        share_bank(model.backbone, model.decode_head)
