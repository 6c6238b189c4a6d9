"""Cover of the sky by a class: fraction, interval and oktas."""

from typing import Any, NamedTuple

from numpy.typing import NDArray

from hyperbolic_seg.sky.oktas import oktas

TRACE = 0.01
"""Share of the sky that counts as none: probabilities are never 0, and specks of dirt look like cloud."""


class Cover(NamedTuple):
    """Cover of the visible sky by a class."""

    fraction: float
    """Expected share of the sky, 0 to 1."""
    low: float
    """Lower end of the interval of the share."""
    high: float
    """Upper end of the interval."""
    oktas: int
    """Share in eighths, as observers report it."""


def cover(probabilities: NDArray[Any], weights: NDArray[Any], *, confidence: float = 0.9) -> Cover:
    """Return the cover by a class, from its probability at every pixel.

    Errors of neighboring pixels depend on each other, to an unknown degree. The interval assumes the worst case: a
    single number U, uniform from 0 to 1, decides for the whole image, and a pixel belongs to the class where its
    probability exceeds U. No other dependence gives the sum a wider distribution (Dhaene et al., "The concept of
    comonotonicity in actuarial science and finance", 2002). The ends are then the shares of the sky with probabilities
    above (1 + confidence) / 2 and above (1 - confidence) / 2. ``tools/benchmarks/cover.py`` measures how often the
    interval holds the true share on real images: about as often as ``confidence``, or more often.

    Args:
        probabilities: Probability of the class at every pixel, (H, W), 0 to 1.
        weights: Weights of the pixels, (H, W): solid angles, or ones; 0 for pixels that do not count.
        confidence: Probability that the interval holds the true share, between 0 and 1.

    Raises:
        ValueError: No pixel counts, shapes differ, or a number is out of range.

    Example:
        >>> import numpy as np
        >>> cover(np.array([[0.5, 0.99]]), np.ones((1, 2)))
        Cover(fraction=0.745, low=0.5, high=1.0, oktas=6)
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
    fraction = float((weights * probabilities).sum()) / total
    return Cover(fraction, min(low, fraction), max(high, fraction), int(oktas(fraction, trace=TRACE)))
