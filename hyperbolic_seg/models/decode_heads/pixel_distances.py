"""Distances between the pixels of dense features and words, for predictions on a CPU."""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from hyperbolic_seg.geometry import safe_norm, unit
from hyperbolic_seg.geometry.factored import LARGEST_RADIUS, column_factors, factored_distances, row_factors

_PORTION = 2**17
"""Numbers per portion, which stay in the cache of a CPU core."""


class PixelDistances:
    """Distances between words and pixels whose embeddings are a linear layer of features, without gradients.

    The embedding of a pixel never exists. Lengths and inner products are computed in float64, so near pairs need no
    second look.

    Args:
        weight: Weight of that linear layer, (D, C).
        bias: Its bias, (D,).
        words: Embeddings of the words in the tangent space at the origin, (W, D).
        c: Curvature magnitude.
    """

    def __init__(self, weight: Tensor, bias: Tensor, words: Tensor, c: Tensor) -> None:
        weight, bias, words, self._c = weight.double(), bias.double(), words.double(), c.double().reshape(())
        directions, lengths = unit(words), safe_norm(words)
        along = torch.cat([directions @ weight, (directions @ bias)[:, None]], 1)
        self._rows = row_factors(along, lengths, self._c)
        self._gram, self._cross, self._square = weight.t() @ weight, 2 * (bias @ weight)[:, None], bias @ bias
        self._words_fit = self._within(lengths)

    def of_all(self, features: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return lengths (N, 1, H, W) and distances to all words, times the root of c, (N, W, H, W), float32.

        Args:
            features: (N, C, H, W).

        Returns:
            ``None`` for radii at which a product is not precise.
        """
        count, _, *size = features.shape
        found = torch.empty(count, len(self._rows), size[0] * size[1], device=features.device)
        lengths = found.new_empty(count, 1, found.shape[2])
        for image, out, norm in zip(features.flatten(2), found, lengths, strict=True):
            for pixels in _portions(out):
                norm[:, pixels], factors = self._of_pixels(image[:, pixels])
                if factors is None:
                    return None
                factored_distances(self._rows, factors, out[:, pixels])
        return lengths.unflatten(2, size), found.unflatten(2, size)

    def of_maps(self, features: Tensor) -> list[Tensor] | None:
        """Return what :meth:`scaled` takes of features (N, C, H, W); ``None`` as in :meth:`of_all`."""
        factors = [self._of_pixels(image)[1] for image in features.flatten(2)]
        return None if any(of_image is None for of_image in factors) else cast(list[Tensor], factors)

    def scaled(self, factors: list[Tensor], words: slice) -> Tensor:
        """Return the distances between some words and pixels, times the root of c, (N, W', P), float32."""
        rows = self._rows[words]
        found = torch.empty(len(factors), len(rows), factors[0].shape[1], device=rows.device)
        for out, of_image in zip(found, factors, strict=True):
            for pixels in _portions(out):
                factored_distances(rows, of_image[:, pixels], out[:, pixels])
        return found

    def _of_pixels(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the lengths of the embeddings of pixels (C, P), and their factors, if their radii are small enough."""
        with_one = self._square.new_ones(features.shape[0] + 1, features.shape[1])
        features = with_one[:-1].copy_(features)
        squared = torch.addmm(self._cross, self._gram, features).mul_(features).sum(0).add_(self._square)
        # As the head bounds it for the gradient of the root.
        lengths = squared.clamp_min_(torch.finfo(torch.float32).eps).sqrt_()
        if not (self._words_fit and self._within(lengths)):
            return lengths, None
        return lengths, column_factors(with_one, lengths, self._c)

    def _within(self, lengths: Tensor) -> bool:
        return not len(lengths) or bool(2 * self._c.sqrt() * lengths.max() <= LARGEST_RADIUS)


def _portions(out: Tensor) -> Iterator[slice]:
    """Yield some columns of (W, P) after the other, so few that they stay in the cache."""
    words, pixels = out.shape
    step = max(_PORTION // max(words, 1), 256)
    yield from (slice(start, start + step) for start in range(0, pixels, step))
