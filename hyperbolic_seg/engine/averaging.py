"""Average of checkpoints."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

__all__ = ['average_weights']


def average_weights(states: Sequence[Mapping[str, Tensor]], weights: Sequence[float]) -> dict[str, Tensor]:
    """Average the weights of models of one architecture that were fine-tuned from one another or a common start.

    The average of a model and its fine-tuned version is often better than both on other data (Wortsman et al.,
    "Robust fine-tuning of zero-shot models", CVPR 2022).

    Args:
        states: State dicts.
        weights: One factor for each state dict; they are divided by their sum.

    Returns:
        A state dict: the average of floating-point tensors of one shape in all; the first model's tensor for all
        others, such as counters and embeddings of other vocabularies.

    Raises:
        ValueError: The numbers of states and factors differ, a factor is negative or all are zero, or the models have
            different weights.
    """
    if not states or len(states) != len(weights) or min(weights) < 0 or not sum(weights):
        raise ValueError(
            f'expected one weight of at least 0, not all 0, for each of {len(states)} states, got {weights}'
        )
    first = states[0]
    for state in states[1:]:
        if differing := sorted(set(state) ^ set(first)):
            raise ValueError(f'the models differ in weights: {len(differing)} are not in both, such as {differing[0]}')
    shares = [weight / sum(weights) for weight in weights]
    averaged = dict(first)
    for name, value in first.items():
        if value.is_floating_point() and all(state[name].shape == value.shape for state in states):
            parts = [share * state[name].double() for share, state in zip(shares, states, strict=True)]
            averaged[name] = torch.stack(parts).sum(0).to(value)
    return averaged
