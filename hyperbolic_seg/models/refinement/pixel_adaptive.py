"""Pixel-adaptive refinement of maps: every pixel takes the mean of neighbors that look like it."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_NEIGHBORS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))
_SHARPNESS = 0.1  # A difference of a tenth of the standard deviation lowers the weight by a factor of e.
_LEAST = 1e-8  # Keeps the quotient finite where the image is constant.


def pixel_adaptive(maps: Tensor, image: Tensor, *, steps: int = 10, dilations: Sequence[int] = (8, 16)) -> Tensor:
    r"""Refine maps by the colors of the image (PAMR; Araslanov and Roth, CVPR 2020, Eq. 3 to 5).

    In every step a pixel takes the weighted mean of its neighbors, eight for each dilation. With the standard deviation
    :math:`\sigma_c` of a channel over the neighborhoods of all dilations, the weight of a neighbor j is the softmax
    over all neighbors of :math:`-\operatorname{mean}_c |x_{ic} - x_{jc}| / (0.1\,\sigma_{ic})`. Beyond the border lies
    the nearest pixel of the image. The maps keep to the range of their values; shift and scale of the colors of a
    channel make no difference.

    Memory grows by the maps and eight weights for each dilation, not by their product.

    Args:
        maps: (N, K, H, W). Each is refined by itself.
        image: Any number of channels, (N, C, H, W).
        steps: Number of repetitions.
        dilations: Distances of the neighbors in pixels.

    Returns:
        (N, K, H, W), in the type of ``maps``.

    Raises:
        ValueError: Maps and image are of different size.
    """
    if maps.shape[2:] != image.shape[2:]:
        raise ValueError(f'maps of {tuple(maps.shape[2:])} for an image of {tuple(image.shape[2:])}: expected one size')
    weights = affinity(image, dilations)
    refined = maps.float()
    for _ in range(steps):
        shifted = zip(weights.unbind(1), _neighbors(refined, dilations), strict=True)
        total = torch.zeros_like(refined)
        for weight, neighbor in shifted:
            total.addcmul_(weight[:, None], neighbor)
        refined = total
    return refined.to(maps)


def affinity(image: Tensor, dilations: Sequence[int]) -> Tensor:
    """Return the weights of the neighbors of every pixel, which sum to one, (N, 8 * dilations, H, W).

    Args:
        image: (N, C, H, W).
        dilations: Distances of the neighbors in pixels.
    """
    image = image.float()
    spread = _SHARPNESS * _deviation(image, dilations) + _LEAST
    return torch.stack(
        [-((image - other).abs() / spread).mean(1) for other in _neighbors(image, dilations)], 1
    ).softmax(1)


def _deviation(image: Tensor, dilations: Sequence[int]) -> Tensor:
    """Return the standard deviation over the 3x3 neighborhoods of all dilations, (N, C, H, W).

    Each neighborhood counts its center, as in the released code.
    """
    count = 9 * len(dilations)
    # Differences to the center, and so no difference of large squares.
    mean = sum((other - image for other in _neighbors(image, dilations)), torch.zeros_like(image)) / count
    squares = len(dilations) * mean.square()
    for other in _neighbors(image, dilations):
        squares = squares + (other - image - mean).square()
    return (squares / (count - 1)).sqrt()


def _neighbors(x: Tensor, dilations: Sequence[int]) -> Iterator[Tensor]:
    """Yield x as seen by every neighbor in turn, (N, C, H, W)."""
    margin, (height, width) = max(dilations), x.shape[2:]
    padded = F.pad(x, [margin] * 4, mode='replicate')
    for dilation in dilations:
        for dy, dx in _NEIGHBORS:
            top, left = margin + dy * dilation, margin + dx * dilation
            yield padded[:, :, top : top + height, left : left + width]
