"""Enlargement of maps some rows at a time, so that maps of a large image never exist as a whole."""

from collections.abc import Callable, Iterator, Sequence

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
    ends, wide = (0, -1), maps[:, :0]
    for start in range(0, rows, step):
        at = places[start : start + step]
        before, ends = ends, (int(at[0]), min(int(at[-1]) + 1, height - 1))
        if ends != before:  # In a large image several bands lie between the same rows of maps.
            near = maps[None, :, ends[0] : ends[1] + 1]
            shape = (near.shape[2], columns)
            wide = F.interpolate(near, size=shape, mode='bilinear', align_corners=align_corners)[0]
        yield slice(start, start + len(at)), _between(wide, at - ends[0])


def enlarged_rows(
    of_rows: Callable[[slice], Callable[[int, int], Tensor]],
    source: Sequence[int],
    size: Sequence[int],
    *,
    align_corners: bool = False,
) -> Callable[[slice], Callable[[int, int], Tensor]]:
    """Enlarge maps bilinearly that are computed when they are asked for.

    Args:
        of_rows: Returns for rows a function of two numbers of classes, which returns the maps of these classes,
            (1, C, rows, w).
        source: Height and width of the maps, (h, w).
        size: Height and width, (H, W).
        align_corners: As for :func:`torch.nn.functional.interpolate`.

    Returns:
        The same for rows of the enlarged maps, (1, C, rows, W).
    """
    if tuple(source) == tuple(size):
        return of_rows
    places = _places(source[0], size[0], align_corners=align_corners)

    def enlarged(rows: slice) -> Callable[[int, int], Tensor]:
        at = places[rows]
        first, last = int(at[0]), min(int(at[-1]) + 1, source[0] - 1)
        near = of_rows(slice(first, last + 1))

        def of_classes(start: int, stop: int) -> Tensor:
            maps = near(start, stop)
            shape = (maps.shape[2], size[1])
            wide = F.interpolate(maps, size=shape, mode='bilinear', align_corners=align_corners)[0]
            return _between(wide, (at - first).to(wide.device))[None]

        return of_classes

    return enlarged


def largest_in_bands(
    maps: Tensor, size: tuple[int, int], *, align_corners: bool = False, band: int = BAND
) -> Iterator[tuple[slice, Tensor]]:
    """Return which map is the largest at every pixel of enlarged maps, some rows at a time.

    Between four values where the same map is the largest one it stays so, because each pixel is an average of the
    four. In a large image nearly all pixels lie there, and only the others are enlarged.

    Args:
        maps: (C, h, w).
        size: Height and width, (H, W).
        align_corners: As for :func:`torch.nn.functional.interpolate`.
        band: Largest number of elements of a band, but at least a row.

    Yields:
        The rows, from the upper edge of the image to the lower one, and the number of the map, int32, (rows, W).
    """
    (count, height, width), (rows, columns) = maps.shape, size
    largest = maps.max(0).indices.int()
    down = _places(height, rows, align_corners=align_corners).to(maps.device)
    across = _places(width, columns, align_corners=align_corners).to(maps.device)
    left = across.long()
    right = (left + 1).clamp_max(width - 1)
    starts = torch.searchsorted(down, torch.arange(height + 1, device=down.device, dtype=down.dtype)).tolist()
    for upper, (start, stop) in enumerate(zip(starts, [*starts[1:-1], rows], strict=False)):
        if start == stop:  # of a reduced image
            continue
        pair = torch.stack([largest[upper], largest[min(upper + 1, height - 1)]])
        corners = torch.cat([pair[:, left], pair[:, right]])
        mixed = (corners != corners[0]).any(0).nonzero()[:, 0]
        near = maps[:, upper : upper + 2]
        near = near[..., left[mixed]].lerp_(near[..., right[mixed]], (across - left)[mixed].to(maps.dtype))
        step = max(band // max(columns, count * len(mixed)), 1)
        for first in range(start, stop, step):
            at = down[first : min(first + step, stop)]
            found = corners[0].repeat(len(at), 1)
            if len(mixed):
                found[:, mixed] = _between(near, at - upper).max(0).indices.int()
            yield slice(first, first + len(at)), found


def _places(height: int, rows: int, *, align_corners: bool) -> Tensor:
    """Return where among the rows of maps those of the enlarged maps lie, (rows,), rounded as PyTorch rounds them."""
    ratio = (height - 1) / max(rows - 1, 1) if align_corners else height / rows
    scale, numbers = torch.tensor(ratio, dtype=torch.float32).double(), torch.arange(rows, dtype=torch.float64)
    # In float32 with a fused product and sum: rounding otherwise moves edges by 1e-5 of a pixel of the maps.
    return (numbers * scale if align_corners else ((numbers + 0.5) * scale - 0.5).clamp_min(0)).float()


def _between(maps: Tensor, places: Tensor) -> Tensor:
    """Return rows between those of maps, (C, rows, W).

    Args:
        maps: (C, h, W).
        places: Positions of the rows among those of the maps.
    """
    above = places.long()
    share = (places - above).to(maps.dtype)
    below = (above + 1).clamp_max(maps.shape[1] - 1)
    return maps.index_select(1, above).lerp_(maps.index_select(1, below), share[:, None])
