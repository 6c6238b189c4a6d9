"""Comparison of what two trainings have learned."""

import torch
from mmengine.config import Config
from mmengine.runner import set_random_seed
from mmseg.registry import MODELS


def assert_learned_alike(config, one, two):
    """Check that two checkpoints of a config are much closer to each other than either is to its start."""
    one, two, start = _weights(one), _weights(two), _initial_weights(config)
    moved = max((one[key] - start[key]).abs().max() for key in start)
    apart = max((one[key] - two[key]).abs().max() for key in start)
    assert apart < 0.02 * moved, (apart, moved)


def _weights(path):
    return _floating(torch.load(path, weights_only=False)['state_dict'])


def _initial_weights(config):
    cfg = Config.fromfile(config)
    set_random_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return _floating(model.state_dict())


def _floating(state):
    return {key: value for key, value in state.items() if value.is_floating_point()}
