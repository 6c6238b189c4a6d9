"""Parts of an image that are predicted one by one: sliding windows, and a small view of the whole."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """A part of a batch of images.

    Attributes:
        place: Slices of the whole that it covers.
        crop: Its pixels, (N, 3, h, w).
        metas: Meta information of the images, with the size of what the window shows of each as ``img_shape``.
    """

    place: tuple[Any, ...]
    crop: Tensor
    metas: list[dict[str, Any]]


def cut_windows(inputs: Tensor, metas: list[dict[str, Any]], test_cfg: Mapping[str, Any]) -> list[Window]:
    """Return the windows of sliding inference, or the whole images as one window.

    Args:
        inputs: (N, 3, H, W).
        metas: Meta information of the images.
        test_cfg: ``mode``, ``crop_size`` and ``stride``.
    """
    if test_cfg.get('mode', 'whole') == 'whole':
        return [Window((...,), inputs, metas)]
    size, crop, stride = inputs.shape[2:], test_cfg['crop_size'], test_cfg['stride']
    tops, lefts = (_window_starts(*axis) for axis in zip(size, crop, stride, strict=True))
    windows = []
    for top, left in itertools.product(tops, lefts):
        place = (..., slice(top, top + crop[0]), slice(left, left + crop[1]))
        moved = [dict(meta, img_shape=_shape_beyond(meta['img_shape'], top, left)) for meta in metas]
        windows.append(Window(place, inputs[place], moved))
    return windows


def to_canvas(inputs: Tensor, metas: list[dict[str, Any]], test_cfg: Mapping[str, Any]) -> Window:
    """Return the images at the size at which windows are cut, that of ``test_cfg.resize``; by default unchanged.

    Raises:
        ValueError: Images are resized that are padded; maps of another size could not be cut to the image.
    """
    size = test_cfg.get('resize')
    if size is None:
        return Window((...,), inputs, metas)
    for meta in metas:
        if any(padding_of(meta)):
            raise ValueError(
                f'test_cfg.resize={tuple(size)} with images that the data preprocessor pads: expected images as they '
                'are; set data_preprocessor.test_cfg=None and test with batch_size=1'
            )
    return _resized(inputs, metas, size, test_cfg)


def padding_of(meta: Mapping[str, Any]) -> Sequence[int]:
    """Return how many pixels were added to an image: left, right, top, bottom."""
    padding: Sequence[int] = meta.get('img_padding_size', meta.get('padding_size', [0] * 4))
    return padding


def window_weights(windows: Sequence[Window], inputs: Tensor) -> Tensor:
    """Return one divided by the number of windows at every pixel, (1, 1, H, W)."""
    count = inputs.new_zeros((1, 1, *inputs.shape[2:]))
    for window in windows:
        count[window.place] += 1
    return 1 / count


def shrink_whole(inputs: Tensor, metas: list[dict[str, Any]], test_cfg: Mapping[str, Any]) -> Window | None:
    """Return whole images at the size of ``test_cfg.whole_view``; ``None`` unless they are seen beside windows."""
    size = test_cfg.get('whole_view') if test_cfg.get('mode') == 'slide' else None
    if size is None:
        return None
    return _resized(inputs, metas, size, test_cfg)


def shrunk(inputs: Tensor, factor: int) -> Tensor:
    """Return the averages of squares of pixels, (N, 3, H / factor, W / factor).

    Args:
        inputs: (N, 3, H, W).
        factor: Side of a square.

    Raises:
        ValueError: Height or width is no multiple of the side.
    """
    if factor == 1:
        return inputs
    height, width = inputs.shape[2:]
    if height % factor or width % factor:
        raise ValueError(
            f'images of {height} x {width} with test_cfg.shrink={factor}: expected multiples of it; set '
            f'data_preprocessor.test_cfg=dict(size_divisor=...) to {factor} times what the encoder needs'
        )
    return F.avg_pool2d(inputs, factor)


def _resized(inputs: Tensor, metas: list[dict[str, Any]], size: Sequence[int], test_cfg: Mapping[str, Any]) -> Window:
    antialias = test_cfg.get('antialias', True)
    resized = F.interpolate(inputs, size=tuple(size), mode='bilinear', align_corners=False, antialias=antialias)
    scale = [new / old for new, old in zip(size, inputs.shape[2:], strict=True)]
    shapes = [tuple(round(side * s) for side, s in zip(meta['img_shape'][:2], scale, strict=True)) for meta in metas]
    return Window((...,), resized, [dict(meta, img_shape=shape) for meta, shape in zip(metas, shapes, strict=True)])


def inside_image(inputs: Tensor, metas: list[dict[str, Any]]) -> Tensor:
    """Return True for every pixel that belongs to its image and not to the padding, (N, 1, H, W)."""
    inside = inputs.new_zeros((len(inputs), 1, *inputs.shape[2:]), dtype=torch.bool)
    for mask, meta in zip(inside, metas, strict=True):
        height, width = meta['img_shape'][:2]
        mask[:, :height, :width] = True
    return inside


def _window_starts(length: int, crop: int, stride: int) -> list[int]:
    """Return where windows of ``crop`` start so that they cover ``length``; the last one is flush with the end."""
    steps = max(length - crop + stride - 1, 0) // stride + 1
    return [max(min(i * stride, length - crop), 0) for i in range(steps)]


def _shape_beyond(shape: Sequence[int], top: int, left: int) -> tuple[int, int]:
    """Return the size of what lies below and to the right of a point of an image."""
    return max(shape[0] - top, 0), max(shape[1] - left, 0)
