"""Prediction of large vocabularies, some classes at a time, so that the logits of all never exist at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor

from hyperbolic_seg.models.refinement import chain
from hyperbolic_seg.models.refinement.levels import levels_of
from hyperbolic_seg.models.segmentors.views import ViewPrediction
from hyperbolic_seg.models.segmentors.windows import (
    Window,
    cut_windows,
    inside_image,
    padding_of,
    shrink_whole,
    to_canvas,
    window_weights,
)

if TYPE_CHECKING:
    from hyperbolic_seg.models.segmentors.hyperclip_segmentor import HyperCLIPSegmentor


def class_chunks(count: int, chunk: int) -> list[tuple[int, int]]:
    """Return the first class of every chunk and the one after its last."""
    return [(start, min(start + chunk, count)) for start in range(0, count, chunk)]


def view_in_chunks(model: HyperCLIPSegmentor, image: Tensor, sample: SegDataSample, chunk: int) -> ViewPrediction:
    """Return what a model predicts, whose logits are computed some classes at a time whenever they are asked for.

    They are those of all classes at once.

    Args:
        model: What predicts.
        image: As the model gets it, (1, 3, H, W).
        sample: Meta information of the image.
        chunk: Number of classes at a time.

    Raises:
        ValueError: ``test_cfg.color_likelihood`` has more kinds to tell apart than a chunk has classes.
    """
    metas, align_corners = [sample.metainfo], model.align_corners
    canvas = to_canvas(image, metas, model.test_cfg)
    windows = cut_windows(canvas.crop, canvas.metas, model.test_cfg)
    weight = window_weights(windows, canvas.crop)
    parts = [_WindowLogits(model, window, chunk) for window in windows]
    view = shrink_whole(image, metas, model.test_cfg)
    whole = None if view is None else _WindowLogits(model, view, chunk)

    refinement = parts[0].refinement

    def averages() -> Iterator[Tensor]:
        """Yield what windows average to, (1, K', H, W), some classes at a time; of heads that gather last, words."""
        for start, stop in parts[0].chunks:
            average = chain.average_windows(((p.window.place, p.averaged(start, stop)) for p in parts), weight)
            if whole is not None:
                enlarged = chain.enlarge(whole.averaged(start, stop), canvas.crop, align_corners=align_corners)
                average = chain.average_views(average, enlarged)
            yield average

    radius = chain.average_windows(((p.window.place, p.radius) for p in parts), weight)
    if whole is not None:
        radius = chain.average_views(radius, chain.enlarge(whole.radius, canvas.crop, align_corners=align_corners))
    colors = None if refinement.pamr is None else at_original_size(model, image, sample)

    def logits() -> Iterator[Tensor]:
        """Yield logits at the original size, (K', H', W')."""
        for average in averages():
            average = chain.refine_average(at_original_size(model, average, sample), colors, refinement)
            yield chain.from_average(average, refinement)

    return ViewPrediction(logits, at_original_size(model, radius, sample))


def at_original_size(model: EncoderDecoder, maps: Tensor, sample: SegDataSample) -> Tensor:
    """Cut off the padding, undo the flip and resize maps (1, C, H, W) to (C, H', W')."""
    meta = sample.metainfo
    if not any(padding_of(meta)) and not meta.get('flip') and tuple(meta['ori_shape']) == tuple(maps.shape[2:]):
        return maps[0]
    single = maps.shape[1] == 1  # MMSegmentation would take a single map for logits, and make probabilities of it.
    maps = maps.expand(-1, 2, -1, -1) if single else maps
    (found,) = EncoderDecoder.postprocess_result(model, maps, [SegDataSample(metainfo=meta)])
    resized: Tensor = found.seg_logits.data
    return resized[:1] if single else resized


class _WindowLogits:
    """The logits of one window, some classes at a time.

    Args:
        model: What predicts.
        window: The window.
        chunk: Number of classes at a time.
    """

    def __init__(self, model: HyperCLIPSegmentor, window: Window, chunk: int) -> None:
        self.window, self.refinement = window, model.refinement
        self.chunks = class_chunks(len(model.vocabulary), chunk)
        self.head = model.decode_head
        self.of_words, radius = self.head.forward_in_parts(model.features_of(window.crop))
        self.radius = chain.enlarge(radius, window.crop, align_corners=model.align_corners)
        self.coarse_total = None if self.refinement.guided is None else self._coarse_total()
        self.shift = self._shift(model, chunk) if self.refinement.normalizes else None

    def coarse(self, start: int, stop: int) -> Tensor:
        """Return logits of some classes, of heads that gather last those of their words, (1, K', h, w)."""
        logits: Tensor = self.of_words(start, stop)
        if not self.head.gathers_last:
            logits = self.head.gather(logits, start, stop)
        return logits

    def averaged(self, start: int, stop: int) -> Tensor:
        """Return what is averaged over windows for some classes, (1, K', h, w)."""
        logits = self._fine(start, stop)
        if self.shift is not None:
            logits = logits + self.shift[:, self.refinement.kinds[self.head.rows_of(start, stop)]]
        return chain.to_average(logits, self.refinement)

    def _coarse_total(self) -> Tensor:
        """Return the logarithm of the summed exponentials of all classes, (1, 1, h, w)."""
        totals = [chain.log_total(self.coarse(start, stop)) for start, stop in self.chunks]
        return torch.cat(totals, 1).logsumexp(1, keepdim=True)

    def _fine(self, start: int, stop: int) -> Tensor:
        """Return logits of some classes at the size of the window."""
        return chain.enlarge_logits(
            self.coarse(start, stop), self.window.crop, self.refinement, total=self.coarse_total
        )

    def _shift(self, model: HyperCLIPSegmentor, chunk: int) -> Tensor:
        """Return what is added to the logits of every kind's classes, (1, G, h, w)."""
        kinds = self.refinement.kinds
        if (count := max(kinds) + 1) > chunk:
            raise ValueError(
                f'test_cfg.color_likelihood tells kinds apart, and these prompts are of {count} kinds, more than '
                f'class_chunk={chunk}: leave test_cfg.color_likelihood out, or name the kinds above the prompts in a '
                'vocabulary file'
            )
        of_kinds: Tensor | None = None
        for start, stop in self.chunks:
            of_some = chain.sum_by_kind(self._fine(start, stop), kinds[self.head.rows_of(start, stop)], count)
            of_kinds = of_some if of_kinds is None else torch.logaddexp(of_kinds, of_some)
        assert of_kinds is not None  # a vocabulary has at least two concepts
        crop, metas = self.window.crop, self.window.metas
        levels = levels_of(crop, model.data_preprocessor)
        return chain.kind_shift(of_kinds, self.refinement, levels=levels, inside=inside_image(crop, metas))
