"""Oktas: cloud cover in eighths of the sky, as observers report it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ROUNDING = 1e-9  # error of a mean of shares, which may leave the range from 0 to 1


def oktas(fraction: ArrayLike, *, trace: float = 0.0) -> NDArray[np.int64]:
    """Return cloud cover in oktas.

    By the convention of the WMO (WMO-No. 8, chapter 15, and code table 2700 of WMO-No. 306), 0 is a sky without any
    cloud and 8 a sky without any gap; 1 is "1 okta or less, but not zero", 7 "7 oktas or more, but not 8". In between
    the nearest eighth counts, and of two the larger.

    Args:
        fraction: Shares of the sky, 0 to 1.
        trace: Largest cover that counts as no cloud, and largest gap that counts as none. 0 suits counted pixels. Means
            of probabilities never reach 0 or 1, so they need a trace.

    Raises:
        ValueError: A share is out of range.

    Example:
        >>> oktas([0.0, 0.02, 0.5, 0.98, 1.0])
        array([0, 1, 4, 7, 8])
    """
    share = np.asarray(fraction, float)
    if not ((share >= -_ROUNDING) & (share <= 1 + _ROUNDING)).all():
        raise ValueError(f'shares of the sky lie between 0 and 1, got {share}')
    tolerance = max(trace, _ROUNDING)
    nearest = np.clip(np.floor(8 * share + 0.5 + _ROUNDING), 1, 7)
    return np.where(share <= tolerance, 0, np.where(share >= 1 - tolerance, 8, nearest)).astype(np.int64)
