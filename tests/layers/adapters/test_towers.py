"""Which weights of a tower are adapted, and what two towers share."""

import copy

import pytest
import torch
from torch import nn

from hyperbolic_seg.layers import Adapter, SharedScaling, add_to_tower, count_parameters, load_tower, merge_tower
from hyperbolic_seg.layers import share_bank as share

BLOCK = 4
BANK = dict(count=3, block_size=BLOCK)


def adapters(module):
    return [part for part in module.modules() if isinstance(part, Adapter)]


def attention(count=5, width=12):
    return nn.ModuleList(nn.TransformerEncoderLayer(width, 2, batch_first=True) for _ in range(count))


class Bert(nn.Module):
    """Names of BERT in transformers."""

    def __init__(self):
        super().__init__()
        self.attention = nn.Module()
        self.attention.self = nn.Module()
        for name in ('query', 'key', 'value'):
            self.attention.self.add_module(name, nn.Linear(12, 12))
        self.attention.output = nn.Module()
        self.attention.output.dense = nn.Linear(12, 12)


def test_towers_with_separate_projections_are_adapted():
    tower = nn.Sequential(Bert(), nn.ReLU(), Bert())
    plain = copy.deepcopy(tower).state_dict()
    assert len(adapters(add_to_tower(copy.deepcopy(tower), 'SharedScaling', **BANK))) == 8, 'outputs, too'
    add_to_tower(tower, 'RadiusScaling', block_size=BLOCK)
    assert len(adapters(tower)) == 6
    load_tower(tower, {name: value + 1 for name, value in plain.items()})
    torch.testing.assert_close(merge_tower(tower).state_dict(), {name: value + 1 for name, value in plain.items()})
    with pytest.raises(ValueError, match='has no adapter to merge'):
        merge_tower(tower)


def test_an_output_projection_of_an_unknown_name_is_refused():
    module = nn.Module()
    module.query, module.key, module.value = (nn.Linear(12, 12) for _ in range(3))
    tower = nn.Sequential(module)
    with pytest.raises(ValueError, match='the output projection of 0 is not known: set out_proj=False'):
        add_to_tower(tower, 'SharedScaling', **BANK)
    assert len(adapters(add_to_tower(tower, 'SharedScaling', out_proj=False, **BANK))) == 3


def test_blocks_to_adapt_are_chosen_by_index():
    blocks = attention()
    add_to_tower(blocks, 'RadiusScaling', block_size=BLOCK, blocks=(0, 2, -1))
    assert [bool(adapters(block)) for block in blocks] == [True, False, True, False, True]
    merge_tower(blocks)
    for wrong in ((5,), (-6,), (), (1.0,)):
        with pytest.raises(ValueError, match='expected indices from -5 to 4 of the 5 attention blocks, or None'):
            add_to_tower(blocks, 'RadiusScaling', block_size=BLOCK, blocks=wrong)
    assert not adapters(blocks)


def test_impossible_adapters_are_named_and_change_nothing():
    tower = attention()
    names = set(tower.state_dict())
    with pytest.raises(ValueError, match="type='Scaling' is no adapter: expected one of RadiusScaling, BlockRotation"):
        add_to_tower(tower, 'Scaling')
    with pytest.raises(TypeError, match='rank'):
        add_to_tower(tower, 'RadiusScaling', rank=3)
    with pytest.raises(ValueError, match='block_size must divide the length of the rows, got 5 for rows of 12'):
        add_to_tower(tower, 'SharedScaling', block_size=5)
    with pytest.raises(ValueError, match=r'a Conv2d has no nn\.MultiheadAttention'):
        add_to_tower(nn.Conv2d(4, 4, 1), 'LowRank')
    assert set(tower.state_dict()) == names and not hasattr(tower, 'adapter_bank')
    add_to_tower(tower, 'LowRank')
    with pytest.raises(ValueError, match='is parametrized already'):
        add_to_tower(tower, 'SharedScaling', **BANK)
    assert not hasattr(tower, 'adapter_bank')


def test_a_tower_owns_its_bank_once():
    tower = add_to_tower(attention(), 'SharedScaling', **BANK)
    banks = [name for name in tower.state_dict() if 'bank' in name]
    assert banks == ['adapter_bank.blocks'] == [name for name, _ in tower.named_parameters() if 'bank' in name]
    assert all(one.bank is tower.adapter_bank for one in adapters(tower)) and len(adapters(tower)) == 10
    twin = copy.deepcopy(tower)
    assert all(one.bank is twin.adapter_bank is not tower.adapter_bank for one in adapters(twin))
    tower.double()
    assert tower[0].self_attn.in_proj_weight.dtype == adapters(tower)[0].bank.blocks.dtype == torch.float64
    rest = add_to_tower(attention(), 'SharedScaling', blocks=(0,), **BANK)
    with pytest.raises(ValueError, match='has a bank already: pass bank=tower.adapter_bank to share it'):
        add_to_tower(rest, 'SharedScaling', blocks=(1,), **BANK)
    add_to_tower(rest, 'SharedScaling', blocks=(1,), bank=rest.adapter_bank)
    assert len(adapters(rest)) == 4


@pytest.mark.parametrize('way', ['given', 'afterwards'])
def test_two_towers_of_different_widths_share_a_bank(way):
    towers = nn.ModuleDict(dict(vision=add_to_tower(attention(2, 16), 'SharedScaling', **BANK), text=attention(1)))
    if way == 'given':
        options = dict(bank=towers.vision.adapter_bank)
        assert count_parameters(towers.text, 'SharedScaling', **options) == (3 + 1) * 3 * 3, 'coefficients alone'
        add_to_tower(towers.text, 'SharedScaling', **options)
    else:
        add_to_tower(towers.text, 'SharedScaling', **BANK)
        share(towers.vision, towers.text)
    assert [name for name in towers.state_dict() if 'bank' in name] == ['vision.adapter_bank.blocks']
    assert all(one.bank is towers.vision.adapter_bank for one in adapters(towers))
    twin = copy.deepcopy(towers)
    assert all(one.bank is twin.vision.adapter_bank for one in adapters(twin))
    nn.init.normal_(towers.vision.adapter_bank.blocks, generator=torch.Generator().manual_seed(0))
    expected = towers.text[0].self_attn.in_proj_weight.detach()
    merge_tower(towers.vision), merge_tower(towers.text)
    assert torch.equal(towers.text[0].self_attn.in_proj_weight, expected)
    assert not any('bank' in name or 'parametrizations' in name for name in towers.state_dict())


def test_banks_that_cannot_be_shared_are_refused():
    tower = add_to_tower(attention(1), 'SharedScaling', **BANK)
    with pytest.raises(ValueError, match='expected one ScalingBank in each, got 1 and 0'):
        share(tower, attention(1))
    with pytest.raises(ValueError, match=r'expected a bank of 2 matrices of size 4, got ScalingBank\(count=3'):
        share(tower, add_to_tower(attention(1), 'SharedScaling', count=2, block_size=BLOCK))
    with pytest.raises(TypeError, match=r"\['count'\] are options of a new bank, but a bank is given"):
        SharedScaling.build([], bank=tower.adapter_bank, count=3)
