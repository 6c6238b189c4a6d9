"""Split conformal prediction on days: how far an interval has to be stretched to hold as often as it says.

Pictures of one day are alike, so they are no independent witnesses, and a day with many must not outvote the others.
Days are exchangeable if any order of them is as likely as any other. Then a picture of a new day has a score of at most
:func:`quantile_over_days` with the wanted probability at least, whatever the model and the distribution are. This holds
for any number of days, and is a mean over days: of those of the calibration and the new one. The method is that of Lee,
Barber and Willett, "Distribution-free inference with hierarchical data" (2023); with a picture for each day it is the
split conformal prediction of Vovk, Gammerman and Shafer (2005) and Lei et al. (2018). Dunn, Wasserman and Ramdas (2022)
reach the same guarantee by a picture of each day, drawn at random.
"""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FLOOR = 0.02
"""Share of the sky that is added to the doubt of a model, so that a model that is quite sure may be wrong too."""

_ROUNDING = 1e-9


class Ends(NamedTuple):
    """A share of the sky, and the ends of its interval, 0 to 1."""

    fraction: float
    low: float
    high: float

    def score(self, truth: float) -> float:
        """Return the error of the share as a multiple of the doubt on its side, which is the distance to that end.

        Args:
            truth: True share, 0 to 1.
        """
        if truth >= self.fraction:
            return (truth - self.fraction) / (self.high - self.fraction + FLOOR)
        return (self.fraction - truth) / (self.fraction - self.low + FLOOR)

    def stretched(self, factor: float) -> 'Ends':
        """Return the interval of the true shares with a score of at most ``factor``, within 0 and 1."""
        low = self.fraction - factor * (self.fraction - self.low + FLOOR)
        high = self.fraction + factor * (self.high - self.fraction + FLOOR)
        return Ends(self.fraction, max(low, 0.0), min(high, 1.0))


def least_days(confidence: float) -> int:
    """Return the least number n of days with an interval of this confidence: ``ceil((n + 1) confidence) <= n``.

    Raises:
        ValueError: The confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f'confidence {confidence}: expected between 0 and 1, such as 0.9')
    return math.ceil(confidence / (1 - confidence) - _ROUNDING)


def quantile_over_days(scores: Sequence[float], days: Sequence[Hashable], confidence: float) -> float:
    """Return the number that the score of a picture of a new day does not exceed, with a probability of ``confidence``.

    Every day weighs ``1 / (n + 1)``, divided among its pictures, and so does the new day, whose score may be anything.

    Args:
        scores: Scores of pictures.
        days: Day of each picture.
        confidence: The probability, at least, between 0 and 1.

    Raises:
        ValueError: There are fewer than :func:`least_days`, a score is not finite, or the lengths differ.

    Example:
        >>> quantile_over_days([3, 1, 2, 2], ['Monday', 'Tuesday', 'Wednesday', 'Wednesday'], 0.5)
        2.0
    """
    values = np.asarray(scores, np.float64)
    if len(days) != len(values) or not np.isfinite(values).all():
        raise ValueError(
            f'{len(values)} scores and {len(days)} days: expected a finite score and a day of each picture'
        )
    weights = day_weights(days)
    count, needed = len(set(days)), least_days(confidence)
    if count < needed:
        raise ValueError(
            f'{count} {"day" if count == 1 else "days"}: a confidence of {confidence:g} needs at least {needed} days; '
            f'add days, or lower the confidence to {count / (count + 1):.2g}'
            if count
            else f'no day: a confidence of {confidence:g} needs at least {needed}'
        )
    order = np.argsort(values, kind='stable')
    reached = np.cumsum(weights[order]) * count / (count + 1)
    return float(values[order][np.searchsorted(reached, confidence - _ROUNDING)])


def day_weights(days: Sequence[Hashable]) -> NDArray[np.float64]:
    """Return a weight for each picture, so that all days weigh the same; they sum to one."""
    _, number = np.unique(np.array([str(day) for day in days]), return_inverse=True)
    sizes = np.bincount(number)
    return np.asarray(1 / (len(sizes) * sizes[number]))
