"""Aggregation over pixels, for each class by itself: Swin blocks that features of the image guide."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Length = Any
"""A side of maps: an integer, or a :class:`torch.SymInt` while a model is exported, which the types of tensors lack."""


class SpatialAggregation(nn.Module):
    """Two Swin blocks, of windows and of shifted windows (Liu et al., ICCV 2021), guided by the image.

    The guidance influences which pixels attend to each other, but not the values that they pass on.

    Args:
        dims: C, channels.
        guidance_dims: G, channels of the guidance.
        heads: Number of attention heads.
        window: Side of the windows, in pixels.
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
        heads: Number of attention heads.
        window: Side of the windows, in pixels.
        shift: By how many pixels the windows are shifted, so that neighbors across their borders meet.

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
        residual: Tensor = self.mlp(self.norm2(x))
        return x + residual

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend within windows, (N, K, H, W, C)."""
        shape = value.shape
        windows = _Windows(shape[2], shape[3], self.window, self.shift, value.device)
        maps, pixels = shape[0] * shape[1], shape[2] * shape[3]
        query, key, value = (
            windows.cut(part.reshape(maps, pixels, shape[4]), self.heads) for part in (query, key, value)
        )
        mask = None if windows.mask is None else windows.mask.repeat(maps, 1, 1, 1)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return windows.join(found, maps).view(shape)


class _Windows:
    """Shifted windows of maps, as indices of pixels; maps of any size, so that an export can trace it.

    Args:
        height: H, side of the maps.
        width: W, the other one.
        window: Side of the windows. Those at the border are filled up with copies of pixels that nothing looks at.
        shift: By how many pixels the windows are shifted; what leaves at one border enters at the other. Maps that fit
            into one window have no borders to bridge and are not shifted.
        device: Device of the indices.
    """

    def __init__(self, height: Length, width: Length, window: int, shift: int, device: torch.device) -> None:
        self.window = window
        # By arithmetic, not by a branch: a trace would keep the branch of its example for maps of any size.
        moved = shift * torch.sym_min(1, torch.sym_max(height, width) // (window + 1))
        counts = [(length + window - 1) // window for length in (height, width)]
        rows, columns = (_Axis(*side, window, moved, device) for side in zip((height, width), counts, strict=True))
        self.count = counts[0] * counts[1]
        # The position of every place of the padded grid in the order of windows. An index and no transposed view: a
        # trace of views would ask whether there is only one window.
        number = (rows.place // window)[:, None] * counts[1] + columns.place // window
        position = number * window**2 + (rows.place % window * window)[:, None] + columns.place % window
        self.cut_index = _scattered(rows.source[:, None] * width + columns.source, position)
        self.join_index = position.index_select(0, rows.target).index_select(1, columns.target).view(-1)
        regions = _scattered(rows.strip[:, None] * 4 + columns.strip, position).view(self.count, 1, window**2)
        whole = isinstance(moved, int) and not moved and [height, width] == [count * window for count in counts]
        self.mask = None if whole else regions.unsqueeze(2) == regions.unsqueeze(3)
        """True where two pixels of a window see each other, (windows, 1, window**2, window**2); ``None`` if all do.

        Pixels on two sides of a seam, where the shift has joined opposite borders, do not."""

    def cut(self, x: Tensor, heads: int) -> Tensor:
        """Cut maps (M, H * W, C) into windows with heads, (M * windows, heads, window**2, C / heads)."""
        x = x.index_select(1, self.cut_index)
        return x.view(x.shape[0] * self.count, self.window**2, heads, x.shape[2] // heads).transpose(1, 2)

    def join(self, x: Tensor, maps: Length) -> Tensor:
        """Put windows together again, (M, H * W, C)."""
        channels = x.shape[1] * x.shape[3]
        x = x.transpose(1, 2).contiguous().view(maps, self.count * self.window**2, channels)
        return x.index_select(1, self.join_index)


def _scattered(values: Tensor, position: Tensor) -> Tensor:
    """Return values of a grid, (P, Q), in another order, (P * Q,)."""
    return torch.zeros_like(values).view(-1).scatter(0, position.view(-1), values.view(-1))


class _Axis:
    """One axis of shifted windows.

    Args:
        length: Number of pixels L.
        count: Number of windows.
        window: Side of the windows.
        shift: By how many pixels they are shifted.
        device: Device of the indices.
    """

    def __init__(self, length: Length, count: Length, window: int, shift: Length, device: torch.device) -> None:
        padded = count * window
        self.place = place = torch.arange(padded, device=device)
        """The places of the windows, one after the other, (count * window,)."""
        shifted, back = place + shift, torch.arange(length, device=device) - shift
        shifted = torch.where(shifted >= padded, shifted - padded, shifted)
        # Strips: 0 inside, 1 and 2 on the two sides of the seam, which runs through the last window, 3 for padding.
        strip = torch.where(place < padded - window, 0, torch.where(shifted < shift, 2, 1))
        outside = shifted >= length
        self.source = torch.where(outside, 0, shifted)
        """The pixel at every place."""
        self.strip = torch.where(outside, 3, strip)
        """The strip of every place."""
        self.target = torch.where(back < 0, back + padded, back)
        """The place of every pixel, (L,)."""
