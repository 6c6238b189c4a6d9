"""Distances between the pixels of dense features and words, for predictions on a CPU."""

from collections.abc import Iterator

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
        weight: Of the linear layer, (D, C).
        bias: (D,).
        words: (W, D).
        c: Curvature magnitude.
    """

    def __init__(self, weight: Tensor, bias: Tensor, words: Tensor, c: Tensor) -> None:
        weight, bias, words, self._c = weight.double(), bias.double(), words.double(), c.double().reshape(())
        directions, lengths = unit(words), safe_norm(words)
        along = torch.cat([directions @ weight, (directions @ bias)[:, None]], 1)
        self._rows = row_factors(along, lengths, self._c)
        self._gram, self._cross, self._square = weight.t() @ weight, 2 * (bias @ weight)[:, None], bias @ bias
        self._words_fit = self._within(lengths)

    def __len__(self) -> int:
        return len(self._rows)

    def factors(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the lengths of the embeddings of pixels, (P,), and what :meth:`write` takes of them.

        Args:
            features: (C, P).

        Returns:
            The lengths, and the factors; ``None`` for radii at which a product is not precise.
        """
        with_one = self._square.new_ones(features.shape[0] + 1, features.shape[1])
        features = with_one[:-1].copy_(features)
        squared = torch.addmm(self._cross, self._gram, features).mul_(features).sum(0).add_(self._square)
        # As the head bounds it for the gradient of the root.
        lengths = squared.clamp_min_(torch.finfo(torch.float32).eps).sqrt_()
        if not (self._words_fit and self._within(lengths)):
            return lengths, None
        return lengths, column_factors(with_one, lengths, self._c)

    def write(self, factors: Tensor, words: slice, out: Tensor) -> Tensor:
        """Write the distances between words and pixels, times the root of c, to ``out``, (W', P), and return it."""
        return factored_distances(self._rows[words], factors, out)

    def portions(self, pixels: int) -> Iterator[slice]:
        """Yield some pixels after the other, so that their distances to all words stay in the cache."""
        step = max(_PORTION // len(self), 256)
        yield from (slice(start, min(start + step, pixels)) for start in range(0, pixels, step))

    def _within(self, lengths: Tensor) -> bool:
        return bool((2 * self._c.sqrt() * lengths).max() <= LARGEST_RADIUS) if len(lengths) else True
