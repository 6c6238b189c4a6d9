"""Upsampling of coarse maps along the edges of the image that they belong to."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hyperbolic_seg.geometry.numeric import full_precision
from hyperbolic_seg.models.refinement.elimination import solve

# Orthonormal axes: brightness, blue against red, green against both. Along them the colors of natural images hardly
# correlate, which keeps the linear systems well conditioned.
_AXES = ((3**-0.5, 3**-0.5, 3**-0.5), (-(2**-0.5), 0.0, 2**-0.5), (6**-0.5, -2 * 6**-0.5, 6**-0.5))

_LEAST = 1e-6  # Lower bound of a probability: the filter may leave the range of 0 to 1 a little.


def guided_upsample(values: Tensor, image: Tensor, *, radius: int = 8, eps: float = 1e-4) -> Tensor:
    """Enlarge maps to the size of an image with its guided filter (He and Sun, fast guided filter, 2015).

    In every window of the coarse grid the map is fitted as an affine function of the color. The coefficients vary
    slowly; they are enlarged and applied to every pixel. Maps that sum to one still do.

    Args:
        values: Coarse maps, (N, K, h, w).
        image: Three channels, (N, 3, H, W).
        radius: Half the side of a window, in cells of the coarse grid.
        eps: Variance of the color, in the units of the image squared, above which an edge counts as one.

    Returns:
        (N, K, H, W), in the type of ``values``; it may leave the range of ``values`` a little.

    Raises:
        ValueError: The image does not have three channels, or the radius is not positive.
    """
    if image.shape[1] != 3 or radius < 1:
        raise ValueError(f'expected an image of 3 channels and a radius of at least 1, got {image.shape[1]}, {radius}')
    with full_precision(values.device):
        # A convolution and no einsum, which would make a trace refuse a single image.
        fine = F.conv2d(image.float(), image.new_tensor(_AXES).float()[..., None, None])
        coarse = F.interpolate(fine, size=values.shape[2:], mode='bilinear', align_corners=False)
        slopes, offset = _fit(values.float(), coarse, radius, eps)
        # All together, since a call for each part takes twice the time.
        windows = _mean(torch.cat([*slopes, offset], 1), radius)
        enlarged = F.interpolate(windows, size=image.shape[2:], mode='bilinear', align_corners=False)
        # Sizes and not one size: a trace would fix the number of classes to make sure that four parts come out.
        *slopes, fitted = enlarged.split([values.shape[1]] * 4, 1)
        result: Tensor = fitted
        for slope, color in zip(slopes, fine.split(1, 1), strict=True):
            result = torch.addcmul(result, slope, color)
        return result.to(values)


def guided_logarithms(probabilities: Tensor, image: Tensor, **options: Any) -> Tensor:
    """Enlarge probabilities, each class by itself, and return their logarithms.

    Enlarged probabilities may sum to a little more or less than one; a softmax over all classes mends that.

    Args:
        probabilities: (N, K, h, w), of all classes or some.
        image: (N, 3, H, W).
        **options: ``radius`` and ``eps`` of :func:`guided_upsample`.

    Returns:
        (N, K, H, W).
    """
    return guided_upsample(probabilities, image, **options).clamp_min(_LEAST).log()


def _fit(values: Tensor, color: Tensor, radius: int, eps: float) -> tuple[list[Tensor], Tensor]:
    """Fit ``values`` as slopes times color plus offset in every window: three (N, K, h, w) and one more."""
    channels = color.split(1, 1)
    pairs = [(i, j) for i in range(3) for j in range(i, 3)]
    products = [channels[i] * channels[j] for i, j in pairs] + [channel * values for channel in channels]
    sizes = [1] * 9 + [values.shape[1]] * 4
    *means, level = _mean(torch.cat([color, *products, values], 1), radius).split(sizes, 1)
    of_color, of_pairs, of_values = means[:3], dict(zip(pairs, means[3:9], strict=True)), means[9:]
    covariance = [
        [of_pairs[min(i, j), max(i, j)] - of_color[i] * of_color[j] + (eps if i == j else 0.0) for j in range(3)]
        for i in range(3)
    ]
    slopes = solve(covariance, [both - x * level for both, x in zip(of_values, of_color, strict=True)])
    return slopes, level - sum(a * x for a, x in zip(slopes, of_color, strict=True))


def _mean(x: Tensor, radius: int) -> Tensor:
    """Average over windows, smaller ones at the border, (N, C, h, w)."""
    side = 2 * radius + 1
    rows = F.avg_pool2d(x, (side, 1), 1, (radius, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, side), 1, (0, radius), count_include_pad=False)
