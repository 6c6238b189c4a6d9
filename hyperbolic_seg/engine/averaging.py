"""Averages of checkpoints."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def average_weights(states: Sequence[Mapping[str, Tensor]], weights: Sequence[float]) -> dict[str, Tensor]:
    """Average the weights of models of one architecture, of which each started from another or from a common one.

    Between a model and what it was fine-tuned to there often lies one that does better on data unlike either's
    (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).

    Args:
        states: State dicts.
        weights: One for each; they are divided by their sum.

    Returns:
        A state dict: averages of what is in floating point and as large in all; the first one's of all else, such as
        counters and the embeddings of other words.

    Raises:
        ValueError: Their numbers differ, a weight is negative or all are zero, or the models have other weights.
    """
    if not states or len(states) != len(weights) or min(weights) < 0 or not sum(weights):
        raise ValueError(
            f'expected one weight of at least 0, not all 0, for each of {len(states)} states, got {weights}'
        )
    first = states[0]
    for state in states[1:]:
        if differing := sorted(set(state) ^ set(first)):
            raise ValueError(f'the models have other weights: {len(differing)} are not in both, such as {differing[0]}')
    shares = [weight / sum(weights) for weight in weights]
    averaged = dict(first)
    for name, value in first.items():
        if value.is_floating_point() and all(state[name].shape == value.shape for state in states):
            parts = [share * state[name].double() for share, state in zip(shares, states, strict=True)]
            averaged[name] = torch.stack(parts).sum(0).to(value)
    return averaged
