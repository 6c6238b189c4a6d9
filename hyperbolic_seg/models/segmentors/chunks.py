"""Prediction for large vocabularies, some classes at a time: the logits of all are never there at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor

from hyperbolic_seg.models.segmentors.guided_upsampling import guided_logarithms

if TYPE_CHECKING:
    from hyperbolic_seg.models.segmentors.hyperclip_segmentor import HyperCLIPSegmentor


@dataclass
class Window:
    """A part of pictures that is predicted by itself.

    Attributes:
        place: Its slices of the whole.
        crop: The part, (N, 3, h, w).
        metas: What is known of its pictures.
    """

    place: tuple[Any, ...]
    crop: Tensor
    metas: list[dict]


def predict_in_chunks(model: HyperCLIPSegmentor, picture: Tensor, sample: SegDataSample, chunk: int) -> None:
    """Put the label of every pixel, its probability and the radius into a data sample.

    The outcome is that of all logits at once: their average over windows, brought to the size of the picture.

    Args:
        model: What predicts.
        picture: (1, 3, H, W).
        sample: With what is known of the picture; the predictions are added.
        chunk: How many classes at a time.
    """
    windows = model.windows(picture, [sample.metainfo])
    parts = [_Part(model, window, chunk) for window in windows]
    weight = model.weights(windows, picture)
    radius = torch.zeros_like(weight)
    for part in parts:
        radius[part.window.place] += part.radius * weight[part.window.place]
    view = model.whole_view(picture, [sample.metainfo])
    whole = None if view is None else _Part(model, view, chunk)
    if whole is not None:
        radius = (radius + model.enlarge(whole.radius, picture)) / 2
    best: Tensor | None = None
    for start, average in _averaged(parts, whole, weight):
        # The radius goes along: MMSegmentation brings what it gets to the size of the picture.
        both = _at_its_size(model, torch.cat([average, radius], 1), sample)
        logits = model.averaged(both[:-1])
        top, label = logits.max(0)
        if best is None:
            best, labels, total, of_place = top, label, logits.logsumexp(0), both[-1:]
            continue
        labels = torch.where(top > best, label + start, labels)
        best, total = torch.maximum(top, best), torch.logaddexp(total, logits.logsumexp(0))
    assert best is not None
    confidence = (best - total).exp()
    if model.test_cfg.get('background'):
        labels = model.with_background(labels, confidence)
    sample.pred_sem_seg = PixelData(data=labels[None])
    sample.pred_confidence = PixelData(data=confidence[None])
    sample.pred_radius = PixelData(data=of_place)


def _averaged(parts: Sequence[_Part], whole: _Part | None, weight: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield averages over windows and the whole view, some classes at a time, with the place of the first one."""
    start, model = 0, parts[0].model
    everything = parts if whole is None else [*parts, whole]
    for logits in zip(*(part.logits() for part in everything), strict=True):
        total = weight.new_zeros((1, logits[0].shape[1], *weight.shape[2:]))
        for part, of_part in zip(parts, logits, strict=False):
            total[part.window.place] += model.to_average(of_part) * weight[part.window.place]
        if whole is not None:
            total = (total + model.enlarge(model.to_average(logits[-1]), total)) / 2
        yield start, total
        start += total.shape[1]


def _at_its_size(model: HyperCLIPSegmentor, maps: Tensor, sample: SegDataSample) -> Tensor:
    """Cut off the padding, undo the flip and resize, (C, H, W)."""
    blank = SegDataSample(metainfo=sample.metainfo)
    return EncoderDecoder.postprocess_result(model, maps, [blank])[0].seg_logits.data


class _Part:
    """One window: its features, and what all its classes have in common."""

    def __init__(self, model: HyperCLIPSegmentor, window: Window, chunk: int) -> None:
        self.model, self.window, self.chunk = model, window, chunk
        self.features = model.extract_feat(window.crop)
        self.radius = model.enlarge(self._coarse()[1], window.crop)
        guided, colours = map(model.test_cfg.get, ('guided', 'colours'))
        self.guided: dict | None = guided
        self.coarse_total = torch.zeros(()) if guided is None else _log_sum(self._coarse()[0])
        self.shift: Tensor | None = None  # of every group
        self.groups = [0] * len(model.vocabulary) if colours is None else model.groups
        if guided is not None or colours is not None:
            self.shift = self._shift(weighed=colours is not None)

    def logits(self) -> Iterator[Tensor]:
        """Yield the logits of some classes at a time, (1, chunk, h, w)."""
        start = 0
        for fine in self._fine():
            of = self.groups[start : start + fine.shape[1]]
            yield fine if self.shift is None else fine + self.shift[:, of]
            start += fine.shape[1]

    def _coarse(self) -> tuple[Iterator[Tensor], Tensor]:
        return self.model.decode_head.forward_in_chunks(self.features, self.chunk)

    def _fine(self) -> Iterator[Tensor]:
        """Yield logits at the size of the window."""
        for coarse in self._coarse()[0]:
            if self.guided is None:
                yield self.model.enlarge(coarse, self.window.crop)
            else:
                probabilities = (coarse - self.coarse_total).float().exp()
                yield guided_logarithms(probabilities, self.window.crop, **self.guided)

    def _shift(self, *, weighed: bool) -> Tensor:
        """Return what has to be added to make logarithms of probabilities, of every group, (1, G, h, w)."""
        count = max(self.groups) + 1
        if count > self.chunk:
            raise ValueError(
                f'test_cfg.colours tells kinds apart, and these prompts are of {count} kinds, more than '
                f'class_chunk={self.chunk}: leave test_cfg.colours out, or name the kinds above the prompts in a '
                'vocabulary file'
            )
        joint: list[Tensor | None] = [None] * count
        start = 0
        for fine in self._fine():
            of = self.groups[start : start + fine.shape[1]]
            for group in set(of):
                found, known = fine[:, [g == group for g in of]].logsumexp(1), joint[group]
                joint[group] = found if known is None else torch.logaddexp(known, found)
            start += fine.shape[1]
        groups = torch.stack([part for part in joint if part is not None], 1)
        log_probs = groups.log_softmax(1)
        crop, metas = self.window.crop, self.window.metas
        found = self.model.weigh_colours(log_probs, crop, metas, range(count)) if weighed else log_probs
        return found - groups


def _log_sum(parts: Iterator[Tensor]) -> Tensor:
    """Logarithm of the summed exponentials of all classes, (N, 1, h, w)."""
    total: Tensor | None = None
    for part in parts:
        found = part.logsumexp(1, keepdim=True)
        total = found if total is None else torch.logaddexp(total, found)
    assert total is not None
    return total
