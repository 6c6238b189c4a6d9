"""Upsampling of coarse maps along the edges of the picture that they belong to."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hyperbolic_seg.geometry.numeric import full_precision
from hyperbolic_seg.models.refinement.elimination import solve

# Orthonormal: brightness, blue against red, green against both. In these axes the colours of a sky hardly correlate.
_AXES = ((3**-0.5, 3**-0.5, 3**-0.5), (-(2**-0.5), 0.0, 2**-0.5), (6**-0.5, -2 * 6**-0.5, 6**-0.5))

_LEAST = 1e-6  # probability that is taken for none


def guided_upsample(values: Tensor, image: Tensor, *, radius: int = 8, eps: float = 1e-4) -> Tensor:
    """Enlarge maps to the size of a picture with its guided filter (He and Sun, fast guided filter, 2015).

    In every window of the coarse grid the map is fitted as an affine function of the colour, and the coefficients,
    which vary slowly, are enlarged and applied to every pixel. Maps that sum to one still do.

    Args:
        values: Coarse maps, (N, K, h, w).
        image: The picture, three channels, (N, 3, H, W).
        radius: Half the side of a window, in cells of the coarse grid.
        eps: Variance of the colour, in the units of the image squared, from which on an edge counts as one.

    Returns:
        (N, K, H, W), in the type of ``values``; it may leave the range of ``values`` a little.

    Raises:
        ValueError: The picture has not three channels, or the radius is not positive.
    """
    if image.shape[1] != 3 or radius < 1:
        raise ValueError(f'expected a picture of 3 channels and a radius of at least 1, got {image.shape[1]}, {radius}')
    with full_precision(values.device):
        fine = torch.einsum('ac,ncij->naij', image.new_tensor(_AXES).float(), image.float())
        coarse = F.interpolate(fine, size=values.shape[2:], mode='bilinear', align_corners=False)
        slopes, offset = _fit(values.float(), coarse, radius, eps)
        enlarged = [
            F.interpolate(_mean(part, radius), size=image.shape[2:], mode='bilinear', align_corners=False)
            for part in (*slopes, offset)
        ]
        return sum((a * fine[:, k : k + 1] for k, a in enumerate(enlarged[:3])), start=enlarged[3]).to(values)


def guided_log_softmax(logits: Tensor, image: Tensor, **options: Any) -> Tensor:
    """Return the logarithms of the probabilities, enlarged by :func:`guided_upsample`, which takes the options.

    Args:
        logits: (N, K, h, w).
        image: (N, 3, H, W).
        **options: ``radius`` and ``eps``.
    """
    return guided_logarithms(logits.float().softmax(1), image, **options).log_softmax(1)


def guided_logarithms(probabilities: Tensor, image: Tensor, **options: Any) -> Tensor:
    """Return logarithms of probabilities that are enlarged one by one, up to what makes them sum to one again.

    Args:
        probabilities: (N, K, h, w), of all classes or some.
        image: (N, 3, H, W).
        **options: ``radius`` and ``eps``.
    """
    return guided_upsample(probabilities, image, **options).clamp_min(_LEAST).log()


def _fit(values: Tensor, colour: Tensor, radius: int, eps: float) -> tuple[list[Tensor], Tensor]:
    """Fit ``values`` as slopes times colour plus offset in every window: three (N, K, h, w) and one more."""
    channels = colour.split(1, 1)
    means, level = [_mean(channel, radius) for channel in channels], _mean(values, radius)
    covariance = [
        [_mean(a * b, radius) - x * y + (eps if a is b else 0.0) for b, y in zip(channels, means, strict=True)]
        for a, x in zip(channels, means, strict=True)
    ]
    slopes = solve(covariance, [_mean(a * values, radius) - x * level for a, x in zip(channels, means, strict=True)])
    return slopes, level - sum(a * x for a, x in zip(slopes, means, strict=True))


def _mean(x: Tensor, radius: int) -> Tensor:
    """Mean over windows, smaller ones at the border, (N, C, h, w)."""
    side = 2 * radius + 1
    rows = F.avg_pool2d(x, (side, 1), 1, (radius, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, side), 1, (0, radius), count_include_pad=False)
