"""Cover of the sky by a class: fraction, interval and oktas."""

from typing import Any, NamedTuple

from numpy.typing import NDArray

from hyperbolic_seg.sky.oktas import oktas

TRACE = 0.01
"""Share of the sky that counts as none: specks of dirt look like cloud."""


class Cover(NamedTuple):
    """Cover of the visible sky by a class."""

    fraction: float
    """Share of the sky, 0 to 1."""
    low: float
    """Lower end of the interval of the share."""
    high: float
    """Upper end of the interval."""
    oktas: int
    """Share in eighths, as observers report it."""


def cover(
    probabilities: NDArray[Any], weights: NDArray[Any], *, shares: NDArray[Any] | None = None, confidence: float = 0.9
) -> Cover:
    """Return the cover by a class, from its probability at every pixel.

    The fraction is the share of the sky where the class is more likely than not. That is the median under the
    assumption of the interval. The mean would be as good for the cameras that a model is trained on; for others, whose
    pictures leave it less sure, it is drawn towards one half: a cloudless sky with probabilities of 0.17 has a median
    of 0.

    Errors of neighboring pixels depend on each other, to an unknown degree. The interval assumes the worst case: a
    single number U, uniform from 0 to 1, decides for the whole image, and a pixel belongs to the class where its
    probability exceeds U. No other dependence gives the sum a wider distribution (Dhaene et al., "The concept of
    comonotonicity in actuarial science and finance", 2002). The ends are then the shares of the
    sky with probabilities above (1 + confidence) / 2 and above (1 - confidence) / 2.

    ``tools/benchmarks/cover.py`` measures the error on real images, and how often the interval holds the true
    share: about as often as ``confidence``, or more often.

    Args:
        probabilities: Probability of the class at every pixel, (H, W), 0 to 1.
        weights: Weights of the pixels, (H, W): solid angles, or ones; 0 for pixels that do not count.
        shares: Share of every pixel that the class has, (H, W), 0 to 1, for the fraction; by default 1 where its
            probability is above 0.5, else 0.
        confidence: Probability that the interval holds the true share, between 0 and 1.

    Raises:
        ValueError: No pixel counts, shapes differ, or a number is out of range.

    Example:
        >>> import numpy as np
        >>> cover(np.array([[0.5, 0.99]]), np.ones((1, 2)))
        Cover(fraction=0.5, low=0.5, high=1.0, oktas=4)
    """
    if probabilities.shape != weights.shape:
        raise ValueError(f'probabilities {probabilities.shape} and weights {weights.shape} differ in shape')
    if not 0 < confidence < 1:
        raise ValueError(f'confidence {confidence}: expected between 0 and 1')
    total = float(weights.sum())
    if not total > 0 or (weights < 0).any():
        raise ValueError('no pixel counts: mask, zenith limit and sun leave nothing of the image')
    tail = (1 - confidence) / 2
    low, high = (float(weights[probabilities > bound].sum()) / total for bound in (1 - tail, tail))
    fraction = float((weights * (probabilities > 0.5 if shares is None else shares)).sum()) / total
    return Cover(fraction, min(low, fraction), max(high, fraction), int(oktas(fraction, trace=TRACE)))
