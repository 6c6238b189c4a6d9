"""Enlargement of maps some rows at a time, so that maps of a large image never exist as a whole."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

BAND = 2**19
"""Numbers of all maps in a band. Larger tensors leave the caches, and steps on a band make several of its size."""


def in_bands(
    maps: Tensor, size: tuple[int, int], *, align_corners: bool = False, band: int = BAND
) -> Iterator[tuple[slice, Tensor]]:
    """Enlarge maps bilinearly to a size, some rows at a time; together they are what ``F.interpolate`` returns.

    Args:
        maps: (C, h, w).
        size: Height and width, (H, W).
        align_corners: As for :func:`torch.nn.functional.interpolate`.
        band: Largest number of elements of a band, but at least a row.

    Yields:
        The rows, from the upper edge of the image to the lower one, and their maps, (C, rows, W).
    """
    (count, height, _), (rows, columns) = maps.shape, size
    places = _places(height, rows, align_corners=align_corners).to(maps.device)
    step = max(band // (count * columns), 1)
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        yield slice(start, stop), _rows_at(maps, places[start:stop], columns, align_corners=align_corners)


def _places(height: int, rows: int, *, align_corners: bool) -> Tensor:
    """Return where among the rows of maps those of the enlarged maps lie, (rows,), rounded as PyTorch rounds them."""
    ratio = (height - 1) / max(rows - 1, 1) if align_corners else height / rows
    scale, numbers = torch.tensor(ratio, dtype=torch.float32).double(), torch.arange(rows, dtype=torch.float64)
    # In float32 with a fused product and sum: rounding otherwise moves edges by 1e-5 of a pixel of the maps.
    return (numbers * scale if align_corners else ((numbers + 0.5) * scale - 0.5).clamp_min(0)).float()


def _rows_at(maps: Tensor, places: Tensor, columns: int, *, align_corners: bool) -> Tensor:
    """Return rows between those of maps, (C, rows, W).

    Args:
        maps: (C, h, w).
        places: Positions of the rows among those of the maps, in ascending order.
        columns: W.
        align_corners: As for :func:`torch.nn.functional.interpolate`.
    """
    above = places.long()
    first, last = int(above[0]), min(int(above[-1]) + 1, maps.shape[1] - 1)
    near = maps[:, first : last + 1]
    wide = F.interpolate(near[None], size=(near.shape[1], columns), mode='bilinear', align_corners=align_corners)[0]
    share = (places - above).to(maps.dtype)
    below = (above + 1).clamp_max(last)
    return wide.index_select(1, above - first).lerp_(wide.index_select(1, below - first), share[:, None])
