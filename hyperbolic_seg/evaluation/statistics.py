"""Statistics of sums over images, from which a bootstrap can draw images again."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mean_iou(confusion: Array, *, classes: NDArray[np.bool_] | None = None) -> float:
    """Return the mean intersection over union of the classes that occur.

    Args:
        confusion: Pixel counts by label (rows) and prediction (columns), (C, P). There are more columns than rows if
            some predictions are not among the labels.
        classes: Rows to average over, (C,); all by default.

    Returns:
        Mean over the classes that have labels, NaN if none has.
    """
    labeled = confusion.sum(1) > 0
    chosen = labeled if classes is None else labeled & classes
    if not chosen.any():
        return float('nan')
    hit = np.diagonal(confusion)[: len(confusion)]
    union = confusion.sum(1) + confusion.sum(0)[: len(confusion)] - hit
    return float((hit[chosen] / union[chosen]).mean())


def expected_calibration_error(bins: Array) -> float:
    """Return the mean gap between confidence and accuracy over bins of confidence (Guo et al., ICML 2017).

    Args:
        bins: Pixels, summed confidence and correct pixels of every bin, (3, B).
    """
    count, confidence, correct = bins
    return float(np.abs(confidence - correct).sum() / count.sum()) if count.sum() else float('nan')


def area_under_risk_coverage(bins: Array) -> float:
    """Return the mean error rate of the most confident pixels over all coverages (Geifman and El-Yaniv, NeurIPS 2017).

    Args:
        bins: Pixels and mistakes of every bin, the most confident first, (2, B). Within a bin the order of pixels is
            taken as random.
    """
    count, wrong = bins
    if not count.sum():
        return float('nan')
    covered, risked = np.cumsum(count), np.cumsum(wrong)
    filled = count > 0
    before = np.concatenate([[0.0], covered[:-1]]), np.concatenate([[0.0], risked[:-1]])
    # Within a bin the risk is (r + k t) / (c + n t); this is its integral over t from 0 to 1, times n.
    c, r, n, k = before[0][filled], before[1][filled], count[filled], wrong[filled]
    rate = k / n
    area = rate * n + (r - rate * c) * np.log1p(np.where(c > 0, n / np.where(c > 0, c, 1), 0))
    return float(area.sum() / covered[-1])


def bootstrap(
    sums: Array, statistic: Callable[[Array], float], *, draws: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile interval of a statistic, drawing images with replacement.

    Args:
        sums: Contribution of every image, (images, ...).
        statistic: Function of the sum over images.
        draws: Number of draws.
        level: Share of the draws within the interval.
        seed: Seed of the draws.

    Returns:
        Both ends of the interval, NaN for fewer than two images.
    """
    if len(sums) < 2:
        return float('nan'), float('nan')
    generator = np.random.default_rng(seed)
    flat = sums.reshape(len(sums), -1)
    times = generator.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=draws).astype(np.float64)
    values = [statistic(total.reshape(sums.shape[1:])) for total in times @ flat]
    if np.isnan(values).all():
        return float('nan'), float('nan')
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
