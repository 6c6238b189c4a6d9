"""Figures of predictions as RGB arrays: colored labels and values, legends and panels."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

RGB = NDArray[np.uint8]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
IGNORED_COLOR = (0, 0, 0)
_MARGIN = 8
_LINE = 22
_BAND = 2**18  # pixels that are blended at a time, each with some hundred bytes of intermediate results


def color_labels(labels: NDArray[Any], palette: Sequence[Sequence[int]]) -> RGB:
    """Return class indices (H, W) in the colors of a palette, as RGB (H, W, 3); other values are black."""
    table = np.array([*palette, *[IGNORED_COLOR] * max(256 - len(palette), 1)], np.uint8)
    if labels.dtype != np.uint8:
        labels = np.where((labels >= 0) & (labels < len(palette)), labels, len(palette))
    return table.take(labels, axis=0)


def blend(image: RGB, labels: NDArray[Any], palette: Sequence[Sequence[int]], *, opacity: float = 0.5) -> RGB:
    """Blend colored labels (H, W) into an RGB image (H, W, 3); ignored pixels show the image."""
    blended = np.empty(image.shape, np.uint8)
    step = max(_BAND // max(image.shape[1], 1), 1)
    for start in range(0, len(image), step):
        rows = slice(start, start + step)
        blended[rows] = _blend_rows(image[rows], labels[rows], palette, opacity)
    return blended


def _blend_rows(image: RGB, labels: NDArray[Any], palette: Sequence[Sequence[int]], opacity: float) -> RGB:
    image, painted = np.ascontiguousarray(image), color_labels(labels, palette)
    mixed = cv2.addWeighted(image, 1 - opacity, painted, opacity, 0)
    shown = (labels >= 0) & (labels < len(palette))
    return np.asarray(mixed if shown.all() else np.where(shown[..., None], mixed, image), np.uint8)


def color_values(values: NDArray[Any], low: float | None = None, high: float | None = None) -> RGB:
    """Return a map of values (H, W) in colors, dark at ``low`` and bright at ``high``, by default its extremes."""
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    share = (values - low) / max(high - low, np.finfo(np.float32).tiny)
    shades = (np.clip(share, 0, 1) * 255).round().astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(shades, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB))


def legend(
    names: Sequence[str],
    palette: Sequence[Sequence[int]],
    width: int,
    *,
    notes: Sequence[str] = (),
    scale: tuple[str, float, float] | None = None,
    column: int | None = None,
) -> RGB:
    """Draw a legend: a color and a name per class, a scale of colored values, and notes.

    Args:
        names: Names of the classes.
        palette: Colors of the classes.
        width: Width in pixels.
        notes: Lines of text below.
        scale: What :func:`color_values` shows, and its values at the dark and at the bright end; ``None`` draws no
            scale.
        column: Width of one entry in pixels; by default that of the longest name.
    """
    font = _legend_font()
    entries = [(name, tuple(color)) for name, color in zip(names, palette, strict=True)]
    column = column or legend_width(names)
    columns = max(width // column, 1)
    rows = -(-len(entries) // columns)
    extra = len(notes) + (scale is not None)
    canvas = Image.new('RGB', (width, (rows + extra) * _LINE + 2 * _MARGIN), 'white')
    draw = ImageDraw.Draw(canvas)
    for i, (name, color) in enumerate(entries):
        x, y = _MARGIN + i % columns * column, _MARGIN + i // columns * _LINE
        draw.rectangle((x, y + 2, x + 18, y + 16), fill=color, outline='black')
        draw.text((x + 24, y), name, fill='black', font=font)
    y = _MARGIN + rows * _LINE
    if scale is not None:
        _draw_scale(canvas, draw, font, y, scale)
        y += _LINE
    for note in notes:
        draw.text((_MARGIN, y), note, fill='black', font=font)
        y += _LINE
    return np.asarray(canvas)


def legend_width(names: Sequence[str]) -> int:
    """Return the width in pixels at which the longest name fits into a legend."""
    return max(int(_legend_font().getlength(name)) for name in names) + 40


@cache
def _legend_font() -> Font:
    return ImageFont.load_default(size=14)


def _draw_scale(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, font: Font, y: int, scale: tuple[str, float, float]
) -> None:
    name, low, high = scale
    label = f'{name} {low:.2f}'
    draw.text((_MARGIN, y), label, fill='black', font=font)
    x = _MARGIN + int(font.getlength(label)) + 8
    bar = color_values(np.linspace(0, 1, 96)[None].repeat(14, 0))
    canvas.paste(Image.fromarray(bar), (x, y + 2))
    draw.text((x + 104, y), f'{high:.2f}', fill='black', font=font)


def panel(images: Sequence[tuple[str, RGB]], *, below: RGB | None = None, height: int = 256) -> RGB:
    """Draw titled images side by side at one height.

    Args:
        images: Pairs (title, image); the images are scaled to ``height``.
        below: Image below them, such as a :func:`legend` of the width :func:`panel_width`.
        height: Height of the images in pixels.
    """
    font = ImageFont.load_default(size=15)
    width = panel_width([image for _, image in images], height=height)
    width = width if below is None else max(width, below.shape[1])
    total = _LINE + height + _MARGIN + (0 if below is None else below.shape[0])
    canvas = Image.new('RGB', (width, total), 'white')
    draw = ImageDraw.Draw(canvas)
    x = _MARGIN
    for title, image in images:
        scaled = _scaled(image, height)
        draw.text((x, 2), title, fill='black', font=font)
        canvas.paste(Image.fromarray(scaled), (x, _LINE))
        x += scaled.shape[1] + _MARGIN
    if below is not None:
        canvas.paste(Image.fromarray(below), (0, _LINE + height + _MARGIN))
    return np.asarray(canvas)


def panel_width(images: Sequence[RGB], *, height: int = 256) -> int:
    """Return the width in pixels of the panel of these images."""
    return _MARGIN + sum(_scaled_width(image, height) + _MARGIN for image in images)


def _scaled_width(image: RGB, height: int) -> int:
    width: int = round(image.shape[1] * height / image.shape[0])
    return max(width, 1)


def _scaled(image: RGB, height: int) -> RGB:
    shrinks = height < image.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    scaled = cv2.resize(image, (_scaled_width(image, height), height), interpolation=interpolation)
    return scaled.astype(np.uint8, copy=False)
