"""Figures of merit out of sums over images, so that images can be drawn anew for an interval."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mean_iou(confusion: Array, *, classes: NDArray[np.bool_] | None = None) -> float:
    """Mean intersection over union of the classes that occur.

    Args:
        confusion: Pixels of every label (rows) and prediction (columns; more than rows if some predictions
            are none of the labels), shape (C, P).
        classes: Which rows to average over, (C,); all by default.

    Returns:
        The mean over classes that are labelled somewhere, NaN if none is.
    """
    labelled = confusion.sum(1) > 0
    chosen = labelled if classes is None else labelled & classes
    if not chosen.any():
        return float('nan')
    hit = np.diagonal(confusion)[: len(confusion)]
    union = confusion.sum(1) + confusion.sum(0)[: len(confusion)] - hit
    return float((hit[chosen] / union[chosen]).mean())


def expected_calibration_error(bins: Array) -> float:
    """Mean distance of confidence and accuracy over bins of confidence, by pixels (Guo et al., ICML 2017).

    Args:
        bins: Pixels, summed confidence and correct pixels of every bin, shape (3, B).
    """
    count, confidence, correct = bins
    return float(np.abs(confidence - correct).sum() / count.sum()) if count.sum() else float('nan')


def area_under_risk_coverage(bins: Array) -> float:
    """Mean share of mistakes among the surest pixels, over all coverages (Geifman and El-Yaniv, NeurIPS 2017).

    Args:
        bins: Pixels and mistakes of every bin of doubt, the least doubtful first, shape (2, B). Within a bin
            pixels are taken in any order.
    """
    count, wrong = bins
    if not count.sum():
        return float('nan')
    covered, risked = np.cumsum(count), np.cumsum(wrong)
    filled = count > 0
    before = np.concatenate([[0.0], covered[:-1]]), np.concatenate([[0.0], risked[:-1]])
    # Within a bin the risk runs as (r + k t) / (c + n t); its integral over t from 0 to 1, times n.
    c, r, n, k = before[0][filled], before[1][filled], count[filled], wrong[filled]
    rate = k / n
    area = rate * n + (r - rate * c) * np.log1p(np.where(c > 0, n / np.where(c > 0, c, 1), 0))
    return float(area.sum() / covered[-1])


def oktas(fraction: Array) -> NDArray[np.int64]:
    """Cloud cover in eighths as observers give it: 0 and 8 only for a sky without a cloud or a gap (WMO-No. 8).

    Args:
        fraction: Cloud fraction, 0 to 1.
    """
    eighths = np.rint(8 * fraction).astype(np.int64)
    return np.where(fraction <= 0, 0, np.where(fraction >= 1, 8, eighths.clip(1, 7)))


def bootstrap(
    sums: Array, statistic: Callable[[Array], float], *, draws: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of a statistic of summed images, by drawing images with replacement.

    Args:
        sums: What every image adds, (images, ...).
        statistic: Of a sum over images.
        draws: How many times to draw.
        level: Share of the draws within the interval.
        seed: Of the draws.

    Returns:
        The ends of the interval, NaN with fewer than two images.
    """
    if len(sums) < 2:
        return float('nan'), float('nan')
    generator = np.random.default_rng(seed)
    flat = sums.reshape(len(sums), -1)
    times = generator.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=draws).astype(np.float64)
    values = [statistic(total.reshape(sums.shape[1:])) for total in times @ flat]
    low, high = (
        np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2]) if not np.isnan(values).all() else (np.nan,) * 2
    )
    return float(low), float(high)
