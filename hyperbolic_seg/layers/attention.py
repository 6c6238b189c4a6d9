"""Attention by hyperbolic distance: an extension that no model of this package uses."""

import torch
from torch import Tensor, nn

from hyperbolic_seg.geometry import mixed_midpoints, polar_distance, safe_norm, unit
from hyperbolic_seg.geometry.numeric import at_least_float32, full_precision
from hyperbolic_seg.layers.curvature import Curvature
from hyperbolic_seg.layers.linear import HyperbolicLinear


class HyperbolicAttention(nn.Module):
    """Multi-head attention between hyperbolic features (Gulcehre et al., "Hyperbolic attention networks", ICLR 2019).

    The logit of a query and a key is minus their hyperbolic distance, times a learned sharpness. The output of a head
    is the midpoint of the values, weighted by the softmax of the logits.

    Args:
        embed_dims: D, the size of the tangent vectors.
        num_heads: Number of spaces of equal size that they are split into, a divisor of D.
        c: Fixed curvature magnitude.

    Raises:
        ValueError: ``num_heads`` does not divide ``embed_dims``.
    """

    def __init__(self, embed_dims: int, num_heads: int, *, c: float = 1.0) -> None:
        super().__init__()
        if num_heads < 1 or embed_dims % num_heads:
            raise ValueError(f'num_heads must divide embed_dims, got {num_heads} for {embed_dims} dimensions')
        self.embed_dims, self.num_heads = embed_dims, num_heads
        self.curvature = Curvature(c)
        self.query, self.key, self.value, self.output = (
            HyperbolicLinear(embed_dims, embed_dims, c=c) for _ in range(4)
        )
        self.log_sharpness = nn.Parameter(torch.empty(num_heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialize the sharpness; the other parameters are those of the linear layers."""
        nn.init.zeros_(self.log_sharpness)

    def forward(self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None) -> Tensor:
        """Return the output of the attention.

        Args:
            query: Tangent vectors, shape (N, L, D).
            key: Tangent vectors, shape (N, S, D); by default ``query``.
            value: Tangent vectors, shape (N, S, D); by default ``key``.

        Returns:
            Tangent vectors of shape (N, L, D), in float32 under autocast.
        """
        key = query if key is None else key
        value = key if value is None else value
        q, k, v = self._heads(self.query(query)), self._heads(self.key(key)), self._heads(self.value(value))
        c = self.curvature()
        with full_precision(query.device):
            components = torch.matmul(at_least_float32(q), unit(k).transpose(-1, -2))
        distances = polar_distance(safe_norm(q, keepdim=True), components, safe_norm(k).unsqueeze(-2), c=c)
        weights = torch.softmax(-self.log_sharpness.exp().view(-1, 1, 1) * distances, -1)
        output: Tensor = self.output(mixed_midpoints(v, weights, c).to(v.dtype).transpose(1, 2).flatten(2))
        return output

    def _heads(self, x: Tensor) -> Tensor:
        """Split (N, L, D) into (N, heads, L, D / heads)."""
        heads: Tensor = x.unflatten(-1, (self.num_heads, -1))
        return heads.transpose(1, 2)
