"""Predictions of single views of an image in test-time augmentation, and their average, at the original size."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from hyperbolic_seg.geometry.numeric import at_least_float32


class ViewPrediction(NamedTuple):
    """Logits and radius that a model predicts for one view of an image, at the original size."""

    logits: Callable[[], Iterable[Tensor]]
    """Returns logits of some classes after the other, (K', H, W); of heads that gather last, those of their words."""
    radius: Tensor
    """Hyperbolic radius of every pixel, (1, H, W)."""


def average_of_views(views: Sequence[ViewPrediction], *, multilabel: bool) -> ViewPrediction:
    """Return a view whose probabilities and radius are the means over views.

    Args:
        views: At least one.
        multilabel: Logits are logarithms of probabilities of their own, and not of shares of one.
    """
    totals = [torch.zeros(()) if multilabel else _log_total(view.logits()) for view in views]

    def logits() -> Iterator[Tensor]:
        """Yield logarithms of the mean probabilities of some classes after the other."""
        for parts in zip(*(view.logits() for view in views), strict=True):
            log_probs = [at_least_float32(part) - total for part, total in zip(parts, totals, strict=True)]
            yield torch.stack(log_probs).logsumexp(0) - math.log(len(views))

    return ViewPrediction(logits, torch.stack([view.radius for view in views]).mean(0))


def _log_total(chunks: Iterable[Tensor]) -> Tensor:
    """Return the logarithm of the summed exponentials of all classes, (H, W)."""
    return reduce(torch.logaddexp, (at_least_float32(logits).logsumexp(0) for logits in chunks))
