import pytest
from torch import nn

from hyperbolic_seg.layers.freezing import train_only


def test_what_matches_trains_and_nothing_else():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    train_only(module, ['1.weight'])
    assert [name for name, one in module.named_parameters() if one.requires_grad] == ['1.weight']
    train_only(module, ('',))
    assert all(one.requires_grad for one in module.parameters())
    train_only(module, ())
    assert not any(one.requires_grad for one in module.parameters())


def test_a_pattern_that_is_found_nowhere_and_a_single_string_are_refused():
    with pytest.raises(ValueError, match=r"trainable=\['bais'\] is found in no parameter"):
        train_only(nn.Linear(2, 2), ['bais'])
    with pytest.raises(TypeError, match=r"trainable='bias': expected a list"):
        train_only(nn.Linear(2, 2), 'bias')
