"""Rules that tell cloud from sky by colour, as they were published: what a model has to beat."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (H, W, 3), BGR
Mask = NDArray[np.bool_]  # (H, W), true for cloud
_FLAT = 0.03  # standard deviation of the ratio below which HYTA takes a picture for one mode
_FIXED = 0.25  # HYTA's fixed threshold


def normalised_ratio(picture: Picture) -> NDArray[np.float32]:
    """Return (B - R) / (B + R), -1 to 1; 0 where both are 0."""
    blue, red = picture[..., 0].astype(np.float32), picture[..., 2].astype(np.float32)
    return (blue - red) / np.maximum(blue + red, 1)


def red_minus_blue(picture: Picture) -> NDArray[np.float32]:
    """Return R - B in grey levels."""
    return picture[..., 2].astype(np.float32) - picture[..., 0]


def red_over_blue(picture: Picture) -> NDArray[np.float32]:
    """Return R / B; black counts as grey."""
    return (picture[..., 2].astype(np.float32) + 1) / (picture[..., 0].astype(np.float32) + 1)


def saturation(picture: Picture) -> NDArray[np.float32]:
    """Return the saturation of HSV, 0 to 1."""
    return cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)[..., 1].astype(np.float32) / 255


def hyta(picture: Picture, valid: Mask) -> Mask:
    """Hybrid thresholding (Li, Lu and Yang, JTECH 2011): fixed for one mode, minimum cross entropy for two."""
    ratio = normalised_ratio(picture)
    seen = ratio[valid]
    threshold = _FIXED if not seen.size or seen.std() <= _FLAT else minimum_cross_entropy(seen)
    return ratio < threshold


def heinle(picture: Picture, valid: Mask) -> Mask:
    """R - B of at least -30 (Heinle, Macke and Srivastav, AMT 2010)."""
    return red_minus_blue(picture) >= -30


def long(picture: Picture, valid: Mask) -> Mask:
    """R / B above 0.6 (Long et al., JTECH 2006)."""
    return red_over_blue(picture) > 0.6


def otsu(picture: Picture, valid: Mask) -> Mask:
    """Otsu's threshold of every picture on (B - R) / (B + R)."""
    ratio = normalised_ratio(picture)
    levels = np.clip(127.5 * (ratio + 1), 0, 255).astype(np.uint8)
    seen = levels[valid].reshape(-1, 1)
    threshold = cv2.threshold(seen, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0] if seen.size else 127.5
    return levels <= threshold


RULES: dict[str, Callable[[Picture, Mask], Mask]] = {
    'HYTA, hybrid threshold': hyta,
    'R - B >= -30': heinle,
    'R / B > 0.6': long,
    'Otsu on (B - R) / (B + R)': otsu,
}
# Features and whether cloud lies above the threshold, which is tuned on the training part of a set.
TUNED: dict[str, tuple[Callable[[Picture], NDArray[np.float32]], bool]] = {
    'saturation, tuned': (saturation, False),
    '(B - R) / (B + R), tuned': (normalised_ratio, False),
    'R - B, tuned': (red_minus_blue, True),
    'R / B, tuned': (red_over_blue, True),
}


def minimum_cross_entropy(values: NDArray[np.float32], bins: int = 200) -> float:
    """Threshold of minimum cross entropy between an image and its two means (Li and Lee, 1993).

    Args:
        values: The ratio, -1 to 1.
        bins: Of the histogram.
    """
    count, edges = np.histogram(values, bins, (-1, 1))
    level = (edges[:-1] + edges[1:]) / 2 + 1  # positive, for the logarithm
    below, above = np.cumsum(count), count.sum() - np.cumsum(count)
    moment = np.cumsum(count * level)
    low, high = moment / np.maximum(below, 1), (moment[-1] - moment) / np.maximum(above, 1)
    split = (below > 0) & (above > 0)
    cost = -moment * np.log(np.maximum(low, 1e-9)) - (moment[-1] - moment) * np.log(np.maximum(high, 1e-9))
    return float(edges[1:][split][cost[split].argmin()]) if split.any() else _FIXED


def tune(
    feature: Callable[[Picture], NDArray[np.float32]], rising: bool, pairs: list[tuple[Picture, NDArray]]
) -> float:
    """Return the threshold of a feature with the best mean IoU on pictures and masks (0 sky, 1 cloud, 255 ignore).

    Args:
        feature: Of a picture.
        rising: Whether cloud lies above the threshold.
        pairs: Pictures and masks.
    """
    values, labels = [], []
    for picture, mask in pairs:
        keep = mask != 255
        values.append(feature(picture)[keep][::7])
        labels.append(mask[keep][::7] == 1)
    value, cloud = np.concatenate(values), np.concatenate(labels)
    candidates = np.unique(np.quantile(value, np.linspace(0.005, 0.995, 199)))
    scores = [binary_iou((value > t) if rising else (value < t), cloud) for t in candidates]
    return float(candidates[int(np.argmax(scores))])


def binary_iou(found: Mask, cloud: Mask) -> float:
    """Mean IoU of cloud and sky."""
    both, neither = (found & cloud).sum(), (~found & ~cloud).sum()
    wrong = found.size - both - neither
    return float((both / max(both + wrong, 1) + neither / max(neither + wrong, 1)) / 2)
