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

from hyperbolic_seg.models.refinement.guided_filter import guided_logarithms

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
        logits = model.averaged(_at_its_size(model, average, sample))
        top, label = logits.max(0)
        mass = logits.sub_(top).exp_().sum(0).log_().add_(top)
        if best is None:
            best, labels, total = top, label, mass
            continue
        labels = torch.where(top > best, label + start, labels)
        best, total = torch.maximum(top, best), torch.logaddexp(total, mass)
    assert best is not None
    confidence = (best - total).exp()
    if model.test_cfg.get('background'):
        labels = model.with_background(labels, confidence)
    sample.pred_sem_seg = PixelData(data=labels[None])
    sample.pred_confidence = PixelData(data=confidence[None])
    sample.pred_radius = PixelData(data=_at_its_size(model, radius, sample))


def _averaged(parts: Sequence[_Part], whole: _Part | None, weight: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield averages over windows and the whole view, some classes at a time, with the place of the first one."""
    model = parts[0].model
    for start, stop in parts[0].chunks:
        total = weight.new_zeros((1, stop - start, *weight.shape[2:]))
        for part in parts:
            total[part.window.place] += model.to_average(part.logits(start, stop)) * weight[part.window.place]
        if whole is not None:
            total = (total + model.enlarge(model.to_average(whole.logits(start, stop)), total)) / 2
        yield start, total


def _at_its_size(model: HyperCLIPSegmentor, maps: Tensor, sample: SegDataSample) -> Tensor:
    """Cut off the padding, undo the flip and resize, (C, H, W)."""
    meta = sample.metainfo
    padded = any(meta.get('img_padding_size', meta.get('padding_size', ())))
    if not padded and not meta.get('flip') and tuple(meta['ori_shape']) == tuple(maps.shape[2:]):
        return maps[0]
    single = maps.shape[1] == 1  # of which MMSegmentation would make a probability
    maps = maps.expand(-1, 2, -1, -1) if single else maps
    found = EncoderDecoder.postprocess_result(model, maps, [SegDataSample(metainfo=meta)])[0].seg_logits.data
    return found[:1] if single else found


class _Part:
    """One window: its features, and what all its classes have in common."""

    def __init__(self, model: HyperCLIPSegmentor, window: Window, chunk: int) -> None:
        count = len(model.vocabulary)
        self.model, self.window = model, window
        self.chunks = [(start, min(start + chunk, count)) for start in range(0, count, chunk)]
        self.coarse, radius = model.decode_head.forward_in_parts(model.extract_feat(window.crop))
        self.radius = model.enlarge(radius, window.crop)
        guided, color_likelihood = map(model.test_cfg.get, ('guided', 'color_likelihood'))
        self.guided: dict | None = guided
        self.coarse_total = torch.zeros(()) if guided is None else self._coarse_total()
        self.shift: Tensor | None = None  # of every group
        self.groups = [0] * count if color_likelihood is None else model.groups
        if guided is not None or color_likelihood is not None:
            self.shift = self._shift(chunk, weighed=color_likelihood is not None)

    def logits(self, start: int, stop: int) -> Tensor:
        """Return the logits of some classes, (1, stop - start, h, w)."""
        fine = self._fine(start, stop)
        return fine if self.shift is None else fine + self.shift[:, self.groups[start:stop]]

    def _coarse_total(self) -> Tensor:
        """Logarithm of the summed exponentials of all classes, (1, 1, h, w)."""
        total: Tensor | None = None
        for start, stop in self.chunks:
            found = self.coarse(start, stop).logsumexp(1, keepdim=True)
            total = found if total is None else torch.logaddexp(total, found)
        assert total is not None
        return total

    def _fine(self, start: int, stop: int) -> Tensor:
        """Return logits at the size of the window."""
        coarse = self.coarse(start, stop)
        if self.guided is None:
            return self.model.enlarge(coarse, self.window.crop)
        return guided_logarithms((coarse - self.coarse_total).float().exp(), self.window.crop, **self.guided)

    def _shift(self, chunk: int, *, weighed: bool) -> Tensor:
        """Return what has to be added to make logarithms of probabilities, of every group, (1, G, h, w)."""
        count = max(self.groups) + 1
        if count > chunk:
            raise ValueError(
                f'test_cfg.color_likelihood tells kinds apart, and these prompts are of {count} kinds, more than '
                f'class_chunk={chunk}: leave test_cfg.color_likelihood out, or name the kinds above the prompts in a '
                'vocabulary file'
            )
        joint: dict[int, Tensor] = {}
        for start, stop in self.chunks:
            fine, of = self._fine(start, stop), self.groups[start:stop]
            for group in set(of):
                found = fine[:, [g == group for g in of]].logsumexp(1)
                joint[group] = torch.logaddexp(joint[group], found) if group in joint else found
        groups = torch.stack([joint[group] for group in range(count)], 1)
        log_probs = groups.log_softmax(1)
        crop, metas = self.window.crop, self.window.metas
        found = self.model.apply_color_likelihood(log_probs, crop, metas, range(count)) if weighed else log_probs
        return found - groups
