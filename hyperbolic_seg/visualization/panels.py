"""Pictures of predictions, as RGB arrays: colour maps of labels and radius, legends, panels side by side."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

RGB = NDArray[np.uint8]
IGNORED_COLOR = (0, 0, 0)
_MARGIN = 8
_LINE = 22


def color_labels(labels: NDArray, palette: Sequence[Sequence[int]]) -> RGB:
    """Paint class indices (H, W) in the colours of ``palette``; what is no index in it becomes black."""
    table = np.array([*palette, IGNORED_COLOR], np.uint8)
    inside = (labels >= 0) & (labels < len(palette))
    return table[np.where(inside, labels, len(palette))]


def blend(image: RGB, labels: NDArray, palette: Sequence[Sequence[int]], *, opacity: float = 0.5) -> RGB:
    """Lay painted labels over an image (H, W, 3); ignored pixels show the image."""
    painted = color_labels(labels, palette)
    shown = ((labels >= 0) & (labels < len(palette)))[..., None]
    mixed = image * (1 - opacity) + painted * opacity
    return np.where(shown, mixed.round(), image).astype(np.uint8)


def color_radius(radius: NDArray, low: float | None = None, high: float | None = None) -> RGB:
    """Paint a radius map (H, W), dark for ``low`` and bright for ``high`` (default: its extremes)."""
    low = float(radius.min()) if low is None else low
    high = float(radius.max()) if high is None else high
    share = (radius - low) / max(high - low, np.finfo(np.float32).tiny)
    shades = (np.clip(share, 0, 1) * 255).round().astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(shades, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)


def legend(
    names: Sequence[str],
    palette: Sequence[Sequence[int]],
    width: int,
    *,
    notes: Sequence[str] = (),
    radius_range: tuple[float, float] | None = None,
    column: int | None = None,
) -> RGB:
    """Draw a legend of the given width: a colour field and a name per class, a scale of the radius, notes.

    Args:
        names: Of the classes.
        palette: Their colours.
        width: In pixels.
        notes: Lines below.
        radius_range: Ends of the scale; none is drawn without.
        column: Width of a name with its field, default that of the longest name.
    """
    font = _legend_font()
    entries = [(name, tuple(color)) for name, color in zip(names, palette, strict=True)]
    column = column or legend_width(names)
    columns = max(width // column, 1)
    rows = -(-len(entries) // columns)
    extra = len(notes) + (radius_range is not None)
    canvas = Image.new('RGB', (width, (rows + extra) * _LINE + 2 * _MARGIN), 'white')
    draw = ImageDraw.Draw(canvas)
    for i, (name, color) in enumerate(entries):
        x, y = _MARGIN + i % columns * column, _MARGIN + i // columns * _LINE
        draw.rectangle((x, y + 2, x + 18, y + 16), fill=color, outline='black')
        draw.text((x + 24, y), name, fill='black', font=font)
    y = _MARGIN + rows * _LINE
    if radius_range is not None:
        _draw_scale(canvas, draw, font, y, radius_range)
        y += _LINE
    for note in notes:
        draw.text((_MARGIN, y), note, fill='black', font=font)
        y += _LINE
    return np.asarray(canvas)


def legend_width(names: Sequence[str]) -> int:
    """Return the width in pixels at which the longest name of a legend is whole."""
    return max(int(_legend_font().getlength(name)) for name in names) + 40


def _legend_font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=14)


def _draw_scale(canvas: Image.Image, draw: ImageDraw.ImageDraw, font, y: int, limits: tuple[float, float]) -> None:
    label = f'hyperbolic radius {limits[0]:.2f}'
    draw.text((_MARGIN, y), label, fill='black', font=font)
    x = _MARGIN + int(font.getlength(label)) + 8
    bar = color_radius(np.linspace(0, 1, 96)[None].repeat(14, 0))
    canvas.paste(Image.fromarray(bar), (x, y + 2))
    draw.text((x + 104, y), f'{limits[1]:.2f}', fill='black', font=font)


def panel(pictures: Sequence[tuple[str, RGB]], *, below: RGB | None = None, height: int = 256) -> RGB:
    """Set titled pictures side by side at one height, with a legend of the same width below.

    Args:
        pictures: (title, picture) pairs; the pictures are scaled to ``height``.
        below: What stands under them; drawn by :func:`legend` with :func:`panel_width`.
        height: In pixels.
    """
    font = ImageFont.load_default(size=15)
    width = panel_width([picture for _, picture in pictures], height=height)
    width = width if below is None else max(width, below.shape[1])
    total = _LINE + height + _MARGIN + (0 if below is None else below.shape[0])
    canvas = Image.new('RGB', (width, total), 'white')
    draw = ImageDraw.Draw(canvas)
    x = _MARGIN
    for title, picture in pictures:
        scaled = _scaled(picture, height)
        draw.text((x, 2), title, fill='black', font=font)
        canvas.paste(Image.fromarray(scaled), (x, _LINE))
        x += scaled.shape[1] + _MARGIN
    if below is not None:
        canvas.paste(Image.fromarray(below), (0, _LINE + height + _MARGIN))
    return np.asarray(canvas)


def panel_width(pictures: Sequence[RGB], *, height: int = 256) -> int:
    """Return the width of the panel of these pictures in pixels."""
    return _MARGIN + sum(_scaled_width(picture, height) + _MARGIN for picture in pictures)


def _scaled_width(picture: RGB, height: int) -> int:
    return max(round(picture.shape[1] * height / picture.shape[0]), 1)


def _scaled(picture: RGB, height: int) -> RGB:
    shrinks = height < picture.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    scaled = cv2.resize(picture, (_scaled_width(picture, height), height), interpolation=interpolation)
    return scaled.astype(np.uint8, copy=False)
