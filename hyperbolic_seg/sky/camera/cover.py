"""How much of the sky something covers: fractions with intervals, and oktas."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

TRACE = 0.01


class Cover(NamedTuple):
    """What a class covers of the sky that is seen."""

    fraction: float
    """The expected share, 0 to 1."""
    low: float
    """Lower end of the interval in which it lies with the confidence asked for."""
    high: float
    """Upper end of that interval."""
    oktas: int
    """Eighths, as observers report them."""


def cover(probabilities: NDArray, weights: NDArray, *, confidence: float = 0.9) -> Cover:
    """Return what a class covers, from its probability at every pixel.

    Neighbouring pixels err together, and nobody knows how much. The interval takes the worst case, in which all do:
    one number U, uniform from 0 to 1, decides for the whole picture, and a pixel belongs to the class where its
    probability is above U. No other dependence of the pixels spreads their sum more (Dhaene et al.: The concept of
    comonotonicity in actuarial science and finance, 2002). The ends are then shares of the sky whose probability is
    above (1 + confidence) / 2, and above the rest. On real pictures it holds about as often as it says:
    ``tools/benchmarks/cover.py``.

    Args:
        probabilities: Of the class, (H, W), 0 to 1.
        weights: Of the pixels, (H, W): solid angles, or ones; 0 for what is not to count.
        confidence: Of the interval, 0 to 1.

    Raises:
        ValueError: No pixel counts, shapes differ, or a number is out of its range.

    Example:
        >>> cover(np.array([[0.5, 0.99]]), np.ones((1, 2)))
        Cover(fraction=0.745, low=0.5, high=1.0, oktas=6)
    """
    if probabilities.shape != weights.shape:
        raise ValueError(f'probabilities {probabilities.shape} and weights {weights.shape} differ in shape')
    if not 0 < confidence < 1:
        raise ValueError(f'confidence {confidence}: expected between 0 and 1')
    total = float(weights.sum())
    if not total > 0 or (weights < 0).any():
        raise ValueError(
            'no pixel counts: the mask, the limit of zenith angles and the sun leave nothing of the picture'
        )
    tail = (1 - confidence) / 2
    low, high = (float(weights[probabilities > bound].sum()) / total for bound in (1 - tail, tail))
    fraction = float((weights * probabilities).sum()) / total
    return Cover(fraction, min(low, fraction), max(high, fraction), int(oktas(fraction)))


def oktas(fraction: ArrayLike, *, trace: float = TRACE) -> NDArray[np.int64]:
    """Return eighths of the sky: the nearest, but 0 for a clear and 8 for a covered sky alone.

    WMO-No. 306, code table 2700: 1 is "1 okta or less, but not zero", 7 "7 oktas or more, but not 8".

    Args:
        fraction: Shares of the sky, 0 to 1.
        trace: Shares up to this count as nothing, for a camera sees cloud in specks of dirt.

    Raises:
        ValueError: A share is out of range.

    Example:
        >>> oktas([0.0, 0.02, 0.5, 0.98, 1.0])
        array([0, 1, 4, 7, 8])
    """
    share = np.asarray(fraction, float)
    if not ((share >= -1e-9) & (share <= 1 + 1e-9)).all():
        raise ValueError(f'shares of the sky lie between 0 and 1, got {share}')
    nearest = np.clip(np.rint(8 * share), 1, 7)
    return np.where(share <= trace, 0, np.where(share >= 1 - trace, 8, nearest)).astype(np.int64)
