"""Labels of large vocabularies, found some rows and some classes at a time: no logits are kept.

Features are computed once. Each row of the image then meets all classes while its numbers are in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from mmseg.structures import SegDataSample
from torch import Tensor

from hyperbolic_seg.models.refinement import chain
from hyperbolic_seg.models.refinement.bands import enlarged_rows
from hyperbolic_seg.models.segmentors.class_chunks import at_original_size, class_chunks
from hyperbolic_seg.models.segmentors.windows import (
    Window,
    cut_windows,
    padding_of,
    shrink_whole,
    to_canvas,
    window_weights,
)

if TYPE_CHECKING:
    from hyperbolic_seg.models.segmentors.hyperclip_segmentor import HyperCLIPSegmentor

OfClasses = Callable[[int, int], Tensor]
"""Returns maps of some classes, (1, K', rows, W), from the first one up to, but without, a last one."""
OfRows = Callable[[slice], OfClasses]
"""Returns for rows what computes their maps."""

_NUMBERS = 2**18
"""Numbers of the maps of some rows and classes on a CPU, which stay in its cache."""
_NUMBERS_ELSEWHERE = 2**26
"""The same on a GPU, which many small steps would keep waiting."""
_FEWEST_CLASSES = 8


class Bands(NamedTuple):
    """The labels, their confidence and the radius of every pixel at the original size, (H, W) and (1, H, W)."""

    labels: Tensor
    confidence: Tensor
    radius: Tensor


def label_in_bands(model: HyperCLIPSegmentor, image: Tensor, sample: SegDataSample, chunk: int) -> Bands:
    """Label an image by a vocabulary of any size.

    Labels and confidence are those of all classes at once.

    Args:
        model: What predicts, with a refinement that decides at each pixel alone (:attr:`Refinement.plain`).
        image: As the model gets it, (1, 3, H, W), not flipped.
        sample: Meta information of the image.
        chunk: Largest number of classes at a time.
    """
    canvas = to_canvas(image, [sample.metainfo], model.test_cfg)
    windows = cut_windows(canvas.crop, canvas.metas, model.test_cfg)
    weight = window_weights(windows, canvas.crop)
    seen = [_Seen(model, window) for window in windows]
    maps = _averaged([(window, part.of_rows) for window, part in zip(windows, seen, strict=True)], weight)
    radius = chain.average_windows(((w.place, part.radius) for w, part in zip(windows, seen, strict=True)), weight)
    size, align_corners = canvas.crop.shape[2:], model.align_corners
    view = shrink_whole(image, [sample.metainfo], model.test_cfg)
    if view is not None:
        whole = _Seen(model, view)
        enlarged = enlarged_rows(whole.of_rows, view.crop.shape[2:], size, align_corners=align_corners)
        maps = _mean_of_views(maps, enlarged)
        radius = chain.average_views(radius, chain.enlarge(whole.radius, canvas.crop, align_corners=align_corners))
    original: tuple[int, int] = tuple(sample.metainfo['ori_shape'][:2])
    maps, kept = _without_padding(maps, size, padding_of(sample.metainfo))
    maps = enlarged_rows(maps, kept, original, align_corners=align_corners)
    labels, confidence = _label(model, maps, original, chunk, coarse=min(part.height for part in seen))
    return Bands(labels, confidence, at_original_size(model, radius, sample))


class _Seen:
    """What a model sees in a window.

    Args:
        model: What predicts.
        window: The window.
    """

    def __init__(self, model: HyperCLIPSegmentor, window: Window) -> None:
        head = model.decode_head
        dense = head.forward_in_bands(model.features_of(window.crop))
        size, align_corners = window.crop.shape[2:], model.align_corners
        self.radius = chain.enlarge(dense.radius, window.crop, align_corners=align_corners)
        self.height = dense.size[0]
        refinement = model.refinement

        def gathered(rows: slice) -> OfClasses:
            of_words = dense.of_rows(rows)
            return lambda start, stop: head.gather(of_words(start, stop), start, stop)

        of_rows = dense.of_rows if head.gathers_last else gathered
        enlarged = enlarged_rows(of_rows, dense.size, size, align_corners=align_corners)

        def averaged(rows: slice) -> OfClasses:
            of_classes = enlarged(rows)
            return lambda start, stop: chain.to_average(of_classes(start, stop), refinement)

        self.of_rows = averaged if refinement.multilabel else enlarged


def _averaged(parts: Sequence[tuple[Window, OfRows]], weight: Tensor) -> OfRows:
    """Return the averages of overlapping windows."""
    if len(parts) == 1:
        return parts[0][1]
    height, width = weight.shape[2:]

    def of_rows(rows: slice) -> OfClasses:
        near = []
        for window, of_window in parts:
            down, across = window.place[1:]
            first, last = max(rows.start, down.start), min(rows.stop, down.stop, height)
            if first < last:
                place = (..., slice(first - rows.start, last - rows.start), across)
                near.append((place, of_window(slice(first - down.start, last - down.start))))
        share = weight[:, :, rows]

        def of_classes(start: int, stop: int) -> Tensor:
            total: Tensor | None = None
            for place, of_window in near:
                maps = of_window(start, stop)
                if total is None:
                    total = maps.new_zeros((*maps.shape[:2], rows.stop - rows.start, width))
                total[place] += maps
            assert total is not None  # windows cover every row
            return total.mul_(share)

        return of_classes

    return of_rows


def _mean_of_views(windows: OfRows, whole: OfRows) -> OfRows:
    def of_rows(rows: slice) -> OfClasses:
        views = windows(rows), whole(rows)
        return lambda start, stop: chain.average_views(*(view(start, stop) for view in views))

    return of_rows


def _without_padding(maps: OfRows, size: Sequence[int], padding: Sequence[int]) -> tuple[OfRows, tuple[int, int]]:
    """Cut off padding (left, right, top, bottom); return the maps and their size."""
    left, right, top, bottom = padding
    kept = size[0] - top - bottom, size[1] - left - right
    if not any(padding):
        return maps, kept

    def of_rows(rows: slice) -> OfClasses:
        of_classes = maps(slice(rows.start + top, rows.stop + top))
        return lambda start, stop: of_classes(start, stop)[..., left : left + kept[1]]

    return of_rows, kept


def _label(
    model: HyperCLIPSegmentor, maps: OfRows, size: tuple[int, int], chunk: int, *, coarse: int
) -> tuple[Tensor, Tensor]:
    """Return labels and confidence, (H, W), of maps whose logits have a number of rows, ``coarse``, in a window."""
    refinement, head, count = model.refinement, model.decode_head, len(model.vocabulary)
    device = next(model.parameters()).device
    numbers = _NUMBERS if device.type == 'cpu' else _NUMBERS_ELSEWHERE
    # Rows between the same two of the logits meet in one band, and few bands compute a row of them twice.
    rows = max(4, 2 * math.ceil(size[0] / coarse), numbers // (chunk * size[1]))
    chunk = min(chunk, max(numbers // (rows * size[1]), _FEWEST_CLASSES))
    chunks = class_chunks(count, chunk)

    def logits(of_classes: OfClasses) -> Iterator[Tensor]:
        for start, stop in chunks:
            found = chain.from_average(of_classes(start, stop)[0], refinement)
            yield head.gather(found, start, stop, dim=0) if refinement.multilabel else found

    labels = torch.empty(size, dtype=torch.int64, device=device)
    confidence = torch.empty(size, device=device)
    for first in range(0, size[0], rows):
        band = slice(first, min(first + rows, size[0]))
        labels[band], confidence[band] = chain.label(partial(logits, maps(band)), refinement)
    return labels, confidence
