"""Published rules that separate cloud from sky by color: the baselines of a model."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3), BGR
Mask = NDArray[np.bool_]  # (H, W), true for cloud
_FLAT = 0.03  # standard deviation of the ratio below which HYTA takes an image for unimodal
_FIXED = 0.25  # threshold of HYTA for a unimodal image


def normalized_ratio(image: Image) -> NDArray[np.float32]:
    """Return (B - R) / (B + R), -1 to 1; 0 where both are 0."""
    blue, red = image[..., 0].astype(np.float32), image[..., 2].astype(np.float32)
    return (blue - red) / np.maximum(blue + red, 1)


def red_minus_blue(image: Image) -> NDArray[np.float32]:
    """Return R - B in gray levels."""
    return image[..., 2].astype(np.float32) - image[..., 0]


def red_over_blue(image: Image) -> NDArray[np.float32]:
    """Return R / B; 1 for black."""
    return (image[..., 2].astype(np.float32) + 1) / (image[..., 0].astype(np.float32) + 1)


def saturation(image: Image) -> NDArray[np.float32]:
    """Return the saturation in HSV, 0 to 1."""
    return cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[..., 1].astype(np.float32) / 255


def hyta(image: Image, valid: Mask) -> Mask:
    """Apply hybrid thresholding (Li, Lu and Yang, JTECH 2011): fixed for one mode, minimum cross entropy for two."""
    ratio = normalized_ratio(image)
    seen = ratio[valid]
    threshold = _FIXED if not seen.size or seen.std() <= _FLAT else minimum_cross_entropy(seen)
    return ratio < threshold


def heinle(image: Image, valid: Mask) -> Mask:
    """Select R - B of at least -30 (Heinle, Macke and Srivastav, AMT 2010)."""
    return red_minus_blue(image) >= -30


def long(image: Image, valid: Mask) -> Mask:
    """Select R / B above 0.6 (Long et al., JTECH 2006)."""
    return red_over_blue(image) > 0.6


def otsu(image: Image, valid: Mask) -> Mask:
    """Apply Otsu's threshold of each image on (B - R) / (B + R)."""
    ratio = normalized_ratio(image)
    levels = np.clip(127.5 * (ratio + 1), 0, 255).astype(np.uint8)
    seen = levels[valid].reshape(-1, 1)
    threshold = cv2.threshold(seen, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0] if seen.size else 127.5
    return levels <= threshold


RULES: dict[str, Callable[[Image, Mask], Mask]] = {
    'HYTA, hybrid threshold': hyta,
    'R - B >= -30': heinle,
    'R / B > 0.6': long,
    'Otsu on (B - R) / (B + R)': otsu,
}
# Features, and whether cloud lies above the threshold. Thresholds are tuned on the training images of a set.
TUNED: dict[str, tuple[Callable[[Image], NDArray[np.float32]], bool]] = {
    'saturation, tuned': (saturation, False),
    '(B - R) / (B + R), tuned': (normalized_ratio, False),
    'R - B, tuned': (red_minus_blue, True),
    'R / B, tuned': (red_over_blue, True),
}


def minimum_cross_entropy(values: NDArray[np.float32], bins: int = 200) -> float:
    """Return the threshold of minimum cross entropy between an image and its two means (Li and Lee, 1993).

    Args:
        values: Ratios, -1 to 1.
        bins: Number of bins of the histogram.
    """
    count, edges = np.histogram(values, bins, (-1, 1))
    level = (edges[:-1] + edges[1:]) / 2 + 1  # positive, for the logarithm
    below, above = np.cumsum(count), count.sum() - np.cumsum(count)
    moment = np.cumsum(count * level)
    low, high = moment / np.maximum(below, 1), (moment[-1] - moment) / np.maximum(above, 1)
    split = (below > 0) & (above > 0)
    cost = -moment * np.log(np.maximum(low, 1e-9)) - (moment[-1] - moment) * np.log(np.maximum(high, 1e-9))
    return float(edges[1:][split][cost[split].argmin()]) if split.any() else _FIXED


def tune(feature: Callable[[Image], NDArray[np.float32]], rising: bool, pairs: list[tuple[Image, NDArray]]) -> float:
    """Return the threshold of a feature with the best mean IoU on training images.

    Args:
        feature: Function from an image to a map.
        rising: Whether cloud lies above the threshold.
        pairs: Images and masks (0 sky, 1 cloud, 255 ignore).
    """
    values, labels = [], []
    for image, mask in pairs:
        keep = mask != 255
        values.append(feature(image)[keep][::7])
        labels.append(mask[keep][::7] == 1)
    value, cloud = np.concatenate(values), np.concatenate(labels)
    candidates = np.unique(np.quantile(value, np.linspace(0.005, 0.995, 199)))
    scores = [binary_iou((value > t) if rising else (value < t), cloud) for t in candidates]
    return float(candidates[int(np.argmax(scores))])


def binary_iou(found: Mask, cloud: Mask) -> float:
    """Return the mean IoU of cloud and sky."""
    both, neither = (found & cloud).sum(), (~found & ~cloud).sum()
    wrong = found.size - both - neither
    return float((both / max(both + wrong, 1) + neither / max(neither + wrong, 1)) / 2)
