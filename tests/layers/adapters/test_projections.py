"""Queries, keys and values of packed weights that train apart."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint

from hyperbolic_seg.layers import add_to_tower, load_tower, merge_tower, train_only

NAMES = [f'attn.parametrizations.in_proj_weight.original{number}' for number in range(3)]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.ln = nn.LayerNorm(12)
        self.attn = nn.MultiheadAttention(12, 3, batch_first=True)

    def forward(self, x):
        y = self.ln(x)
        return x + self.attn(y, y, y, need_weights=False)[0]


def data():
    return torch.randn(2, 7, 12, generator=torch.Generator().manual_seed(1))


def split(patterns=('q_proj', 'v_proj')):
    block = Block()
    train_only(block, patterns)
    return block


def test_queries_and_values_train_alone():
    block = split()
    assert [name for name, p in block.named_parameters() if p.requires_grad] == [NAMES[0], NAMES[2]]
    assert torch.equal(block(data()), Block()(data()))
    optimizer = torch.optim.AdamW(block.parameters(), lr=0.1, weight_decay=0.5)
    before = [part.clone() for part in block.attn.in_proj_weight.detach().chunk(3)]
    block(data()).square().sum().backward()
    optimizer.step()
    query, key, value = block.attn.in_proj_weight.chunk(3)
    assert torch.equal(key, before[1]) and not torch.equal(query, before[0]) and not torch.equal(value, before[2])
    assert block.attn.parametrizations.in_proj_weight.original1.grad is None
    plain = Block()
    plain(data()).square().sum().backward()
    expected = plain.attn.in_proj_weight.grad.chunk(3)
    parts = block.attn.parametrizations.in_proj_weight
    torch.testing.assert_close([parts.original0.grad, parts.original2.grad], [expected[0], expected[2]])


@pytest.mark.parametrize(
    'patterns, trained',
    [
        (['[qv]_proj'], [0, 2]),
        (['attn.k_'], [1]),
        ([r'v_proj_weight$', 'ln'], [2]),
        (['q_proj', 'k_proj', 'v_proj'], [0, 1, 2]),
    ],
)
def test_every_way_to_name_a_projection_splits_the_weight(patterns, trained):
    block = split(patterns)
    parts = block.attn.parametrizations.in_proj_weight
    assert [getattr(parts, f'original{number}').requires_grad for number in range(3)] == [
        n in trained for n in range(3)
    ]
    assert block.ln.weight.requires_grad == ('ln' in patterns)


@pytest.mark.parametrize('patterns', [('',), ('attn',), ('in_proj',), ('out_proj',), ()])
def test_other_patterns_leave_the_weight_packed(patterns):
    block = split(patterns)
    assert not parametrize.is_parametrized(block.attn)
    assert block.attn.in_proj_weight.requires_grad == (patterns not in [('out_proj',), ()])


def test_patterns_match_split_weights_again():
    block = split()
    train_only(block, ('k_proj',))
    assert [name for name, p in block.named_parameters() if p.requires_grad] == [NAMES[1]]
    train_only(block, ('in_proj_weight',))
    assert [name for name, p in block.named_parameters() if p.requires_grad] == NAMES


def test_a_wrong_pattern_splits_nothing():
    block = Block()
    with pytest.raises(ValueError, match=r"trainable=\['w_proj'\] is found in no parameter"):
        train_only(block, ('q_proj', 'w_proj'))
    assert not parametrize.is_parametrized(block.attn)
    with pytest.raises(ValueError, match=r"trainable=\['q_proj'\] is found in no parameter"):
        train_only(nn.Linear(2, 2), ['q_proj'])


def test_it_merges_into_the_packed_weight_and_loads_it():
    block, plain = split(), Block()
    names = list(plain.state_dict())
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.add_(1)
    load_tower(block, plain.state_dict())
    assert torch.equal(block(data()), plain(data()))
    twin = copy.deepcopy(block)
    fresh = split()
    fresh.load_state_dict(block.state_dict())
    assert torch.equal(fresh(data()), block(data()))
    assert set(merge_tower(block).state_dict()) == set(names)
    assert not parametrize.is_parametrized(block.attn) and not block.attn.in_proj_weight.requires_grad
    torch.testing.assert_close(block(data()), plain(data()))
    with torch.no_grad():
        twin.attn.parametrizations.in_proj_weight.original0.zero_()
    assert torch.equal(block.attn.in_proj_weight, plain.attn.in_proj_weight)


def test_caching_and_recomputing_give_the_same_gradients():
    found = []

    def cached(block, x):
        with parametrize.cached():
            return block(x)

    for way in (lambda b, x: b(x), cached, lambda b, x: checkpoint(cached, b, x, use_reentrant=False)):
        block = split()
        way(block, data()).square().sum().backward()
        found.append([p.grad for p in block.parameters() if p.grad is not None])
    assert len(found[0]) == 2
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])


def test_weights_that_train_are_not_adapted_too():
    block = split()
    with pytest.raises(ValueError, match='train either an adapter or the weights of projections'):
        add_to_tower(block, 'RadiusScaling', block_size=4)
    add_to_tower(adapted := Block(), 'RadiusScaling', block_size=4)
    with pytest.raises(ValueError, match='is found in no parameter'):
        train_only(adapted, ('q_proj',))
