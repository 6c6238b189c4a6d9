"""Aggregation over the places of a picture, for each class by itself: Swin blocks that the picture guides."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpatialAggregation(nn.Module):
    """Two Swin blocks, of windows and of shifted windows (Liu et al., ICCV 2021), guided by the picture.

    The guidance has a say in which places attend to each other, but is no part of what they pass on.

    Args:
        dims: C, channels.
        guidance_dims: G, channels of the guidance.
        heads: Of the attention.
        window: Side of the windows, in places.
    """

    def __init__(self, dims: int, guidance_dims: int, *, heads: int = 4, window: int = 12) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(guidance_dims)
        self.blocks = nn.ModuleList(
            SwinBlock(dims, guidance_dims, heads=heads, window=window, shift=shift) for shift in (0, window // 2)
        )

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """Aggregate maps (N, K, H, W, C) of K classes, guided by (N, H, W, G)."""
        guidance = self.norm(guidance)
        for block in self.blocks:
            x = block(x, guidance)
        return x


class SwinBlock(nn.Module):
    """Attention in windows, then a perceptron, both residual.

    Args:
        dims: C, channels.
        guidance_dims: G, channels of the guidance.
        heads: Of the attention.
        window: Side of the windows, in places.
        shift: By how many places the windows are shifted, so that neighbours across their borders meet.

    Raises:
        ValueError: The heads do not divide the channels.
    """

    def __init__(self, dims: int, guidance_dims: int, *, heads: int, window: int, shift: int) -> None:
        super().__init__()
        if dims % heads:
            raise ValueError(f'heads must divide the channels, got {heads} for {dims}')
        self.heads, self.window, self.shift = heads, window, shift
        self.norm1, self.norm2 = nn.LayerNorm(dims), nn.LayerNorm(dims)
        self.query_key, self.value = nn.Linear(dims, 2 * dims), nn.Linear(dims, dims)
        # Queries and keys are linear in both, so the share of the guidance is computed once for all classes.
        self.query_key_guidance = nn.Linear(guidance_dims, 2 * dims, bias=False)
        self.project = nn.Linear(dims, dims)
        self.mlp = nn.Sequential(nn.Linear(dims, 4 * dims), nn.GELU(), nn.Linear(4 * dims, dims))

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """Aggregate maps (N, K, H, W, C), guided by (N, H, W, G)."""
        normed = self.norm1(x)
        query_key = self.query_key(normed) + self.query_key_guidance(guidance).unsqueeze(1)
        query, key = query_key.chunk(2, -1)
        x = x + self.project(self._attend(query, key, self.value(normed)))
        return x + self.mlp(self.norm2(x))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        shape, (height, width) = value.shape[:2], value.shape[2:4]
        # A picture that one window holds has no borders to be shifted.
        shift = self.shift if max(height, width) > self.window else 0
        mask = _same_region(height, width, self.window, shift, value.device)
        query, key, value = (_windows(part, self.window, shift, self.heads) for part in (query, key, value))
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return _picture(found, height, width, self.window, shift).unflatten(0, shape)


def _windows(x: Tensor, window: int, shift: int, heads: int) -> Tensor:
    """Cut maps (N, K, H, W, C) into windows with heads, (N * K, windows, heads, places, C / heads)."""
    height, width = x.shape[2:4]
    x = F.pad(x.flatten(0, 1), (0, 0, 0, -width % window, 0, -height % window)).roll((-shift, -shift), (1, 2))
    x = x.unflatten(2, (-1, window)).unflatten(1, (-1, window))  # (N * K, rows, window, columns, window, C)
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2).unflatten(-1, (heads, -1)).transpose(2, 3)


def _picture(x: Tensor, height: int, width: int, window: int, shift: int) -> Tensor:
    """Put windows together again, (N * K, H, W, C); the inverse of :func:`_windows`."""
    columns = -(-width // window)
    x = x.transpose(2, 3).flatten(3).unflatten(2, (window, window)).unflatten(1, (-1, columns))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2).roll((shift, shift), (1, 2))[:, :height, :width]


def _same_region(height: int, width: int, window: int, shift: int, device: torch.device) -> Tensor | None:
    """Return which places of every window see each other, (windows, 1, places, places); ``None`` for all.

    Shifting goes around the border, and padding fills what is left of windows: neither meets what it does not touch.
    """
    padded = [-(-length // window) * window for length in (height, width)]
    if not shift and padded == [height, width]:
        return None
    rows, columns = (
        _strips(length, whole, window, shift, device) for length, whole in zip((height, width), padded, strict=True)
    )
    regions = (rows[:, None] * 4 + columns).view(1, 1, *padded, 1)
    inside = _windows(regions, window, 0, 1).flatten(2)[0]  # the strips are shifted already
    return (inside.unsqueeze(1) == inside.unsqueeze(2)).unsqueeze(1)


def _strips(length: int, padded: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Number the strips of a shifted axis: 0 inside, 1 and 2 on either side of the seam, 3 for padding."""
    place = torch.arange(padded, device=device)
    source = (place + shift) % padded
    strip = torch.where(place < padded - window, 0, torch.where(source < shift, 2, 1)) if shift else place * 0
    return strip.masked_fill(source >= length, 3)
