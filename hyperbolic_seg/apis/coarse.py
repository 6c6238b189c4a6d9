"""Predictions at the size at which a model sees an image, enlarged to any size some rows at a time."""

from collections.abc import Iterator
from typing import Any

import torch
from mmseg.models.segmentors import BaseSegmentor, EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor

from hyperbolic_seg.models import HyperCLIPSegmentor
from hyperbolic_seg.models.refinement import in_bands, largest_in_bands, owned
from hyperbolic_seg.models.segmentors import at_original_size

__all__ = ['coarse_maps', 'is_local', 'labels_in_bands', 'samples_in_bands']


def is_local(model: Any) -> bool:
    """Return whether the label of a pixel depends on nothing but the enlarged maps at this pixel.

    Not so if ``test_cfg.pamr`` looks at its neighbors or ``test_cfg.min_area`` at all pixels, with a vocabulary beyond
    ``test_cfg.class_chunk``, whose maps are never together, and in segmentors that replace what MMSegmentation does
    with its maps.
    """
    if isinstance(model, HyperCLIPSegmentor):
        return model.labels_alone
    plain = isinstance(model, EncoderDecoder)
    return plain and all(
        getattr(type(model), name) is getattr(base, name)
        for base, name in ((EncoderDecoder, 'predict'), (BaseSegmentor, 'postprocess_result'))
    )


@torch.no_grad()
def coarse_maps(model: Any, data: dict[str, Any]) -> list[tuple[Tensor, SegDataSample]]:
    """Return the maps that a model makes of images, without padding and as they were before a flip.

    Args:
        model: A model for which :func:`is_local` holds.
        data: A batch of images of one size, as ``model.test_step`` gets it.

    Returns:
        For every image the maps, (C, h, w), and its data sample.
    """
    batch = model.data_preprocessor(data, False)
    samples: list[SegDataSample] = batch['data_samples']
    maps = model.inference(batch['inputs'], [sample.metainfo for sample in samples])
    return [(_unpadded(model, part, sample), sample) for part, sample in zip(maps.split(1), samples, strict=True)]


@torch.no_grad()
def samples_in_bands(model: Any, maps: Tensor, size: tuple[int, int]) -> Iterator[tuple[slice, SegDataSample]]:
    """Yield rows of an image from the upper edge to the lower one, and their data sample.

    Together they are what ``model.predict`` returns for an image of this size.

    Args:
        model: The model that has made the maps.
        maps: (C, h, w), from :func:`coarse_maps`.
        size: Height and width.
    """
    for rows, band in in_bands(maps, size, align_corners=model.align_corners):
        (sample,) = model.postprocess_result(band[None])
        yield rows, sample


@torch.no_grad()
def labels_in_bands(model: Any, maps: Tensor, size: tuple[int, int]) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of an image and their labels alone, (rows, W); see :func:`samples_in_bands`."""
    if not isinstance(model, HyperCLIPSegmentor):
        yield from ((rows, sample.pred_sem_seg.data[0]) for rows, sample in samples_in_bands(model, maps, size))
        return
    refinement = model.refinement
    if refinement.multilabel or refinement.background is not None:
        for rows, band in in_bands(maps, size, align_corners=model.align_corners):
            yield rows, model.labels_of(band, refinement)
        return
    # The last map is the radius.
    for rows, largest in largest_in_bands(maps[:-1], size, align_corners=model.align_corners):
        yield rows, owned(largest, refinement.owners)


def _unpadded(model: Any, maps: Tensor, sample: SegDataSample) -> Tensor:
    """Return maps (1, C, h, w) without padding and flip, (C, h', w')."""
    meta = sample.metainfo
    left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', [0] * 4))
    size = maps.shape[2] - top - bottom, maps.shape[3] - left - right
    return at_original_size(model, maps, SegDataSample(metainfo=dict(meta, ori_shape=size)))
