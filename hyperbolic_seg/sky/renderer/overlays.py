"""Text, compass letters, logos, bars and frames that programs of cameras draw into their images."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.camera import View, direction, dot
from hyperbolic_seg.sky.renderer.noise import generator
from hyperbolic_seg.sky.renderer.scene import SkyScene, Text

_CAPITALS = 21.0
"""Height in pixels of capital letters of Hershey Simplex at scale 1."""

BGR = tuple[int, int, int]


@dataclass(frozen=True)
class Drawing:
    """What is drawn over an image.

    Attributes:
        image: Colors (BGR), (H, W, 3) uint8.
        cover: Opacity, (H, W) uint8.
    """

    image: NDArray[np.uint8]
    cover: NDArray[np.uint8]

    @property
    def visible(self) -> NDArray[np.bool_]:
        """True for pixels that the drawing fills by at least one half, (H, W)."""
        filled: NDArray[np.bool_] = self.cover >= 128
        return filled

    def over(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return an image (H, W, 3) with the drawing over it, in integer arithmetic."""
        cover = self.cover[:, :, None].astype(np.int32)
        below, above = image.astype(np.int32), self.image.astype(np.int32)
        return ((above * cover + below * (255 - cover) + 127) // 255).astype(np.uint8)


def draw_overlay(seed: int, scene: SkyScene, view: View) -> Drawing | None:
    """Draw the overlay of a scene, or return None if there is none."""
    overlay = scene.overlay
    if overlay == type(overlay)():
        return None
    height, width = view.z.shape
    drawing = Drawing(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8))
    top, foot = (round(share * height) for share in overlay.bars)
    _rectangle(drawing, (0, 0), (width, top), (0, 0, 0))
    _rectangle(drawing, (0, height - foot), (width, height), (0, 0, 0))
    if overlay.frame:
        edge, white = max(1, round(overlay.frame * min(height, width))), (230, 230, 230)
        for start, end in (((0, 0), (width, edge)), ((0, 0), (edge, height))):
            _rectangle(drawing, start, end, white)
            _rectangle(drawing, (width - end[0], height - end[1]), (width - start[0], height - start[1]), white)
    if overlay.logo is not None:
        _draw_logo(drawing, overlay.logo, generator(seed, 28))
    for text in overlay.texts:
        _write(drawing, text)
    if overlay.compass is not None and scene.camera.kind == 'fisheye':
        _write_compass(drawing, overlay.compass, view)
    return drawing


def _rectangle(drawing: Drawing, start: tuple[int, int], end: tuple[int, int], color: BGR) -> None:
    """Fill the columns and rows from ``start`` to before ``end``."""
    columns, rows = (slice(max(0, a), max(0, b)) for a, b in zip(start, end, strict=True))
    drawing.image[rows, columns] = color
    drawing.cover[rows, columns] = 255


def _write(drawing: Drawing, text: Text) -> None:
    """Write a text, moved into the image where it would leave it."""
    height, width = drawing.cover.shape
    letters = _letters(text, min(height, width), width)
    tall, long = letters.shape
    left = max(0, min(round(text.column * width), width - long))
    top = max(0, min(round(text.row * height) - tall + 1, height - tall))
    part = slice(top, top + tall), slice(left, left + long)
    letters = letters[: height - top, : width - left]
    behind = text.ground
    if behind is None:
        cover = cv2.dilate(letters, np.ones((3, 3), np.uint8))
        behind = (20, 20, 20) if sum(text.color) > 380 else (235, 235, 235)
    else:
        cover = np.full_like(letters, 255)
    drawing.image[part] = behind
    drawing.image[part] = Drawing(np.full((*letters.shape, 3), text.color, np.uint8), letters).over(drawing.image[part])
    drawing.cover[part] = np.maximum(drawing.cover[part], cover)


def _letters(text: Text, side: int, width: int) -> NDArray[np.uint8]:
    """Return how far each pixel is filled by the letters, with a margin of two pixels, (h, w)."""
    scale = text.height * side / _CAPITALS
    thick = max(1, round(1.6 * scale))
    canvas = np.zeros((round(4 * text.height * side) + 8, 2 * width), np.uint8)
    foot = canvas.shape[0] // 2 + 4
    cv2.putText(canvas, text.text, (4, foot), text.font, scale, (255,), thick, cv2.LINE_AA)
    left, top, long, high = cv2.boundingRect(canvas)
    return np.asarray(np.pad(canvas[top : top + high, left : left + long], 2))


def _write_compass(drawing: Drawing, elevation: float, view: View) -> None:
    """Write the letters of the compass where the camera sees their directions."""
    rays = (view.x, view.y, view.z)
    height, width = drawing.cover.shape
    for letter, azimuth in zip('NESW', (0, 90, 180, 270), strict=True):
        toward = np.where(view.inside, dot(rays, direction(azimuth, elevation)), np.float32(-1))
        row, column = divmod(int(np.argmax(toward)), width)
        size = 0.03
        left, foot = column / width - size / 2, row / height + size / 2
        _write(drawing, Text(letter, left, foot, size, (60, 60, 240) if letter == 'N' else (240, 240, 240)))


def _draw_logo(drawing: Drawing, corner: tuple[int, int], rng: np.random.Generator) -> None:
    """Draw a badge of a plate, a figure and two letters into a corner."""
    height, width = drawing.cover.shape
    side = round((0.08 + 0.08 * rng.random()) * min(height, width))
    left = round(0.03 * width) if corner[0] == 0 else width - side - round(0.03 * width)
    top = round(0.03 * height) if corner[1] == 0 else height - side - round(0.03 * height)
    colors = [_color(rng) for _ in range(2)]
    plate = (235, 235, 235) if rng.random() < 0.5 else colors[0]
    middle = left + side // 2, top + side // 2
    if rng.random() < 0.5:
        for target, color in ((drawing.image, plate), (drawing.cover, (255,))):
            cv2.circle(target, middle, side // 2, color, -1, cv2.LINE_AA)
    else:
        _rectangle(drawing, (left, top), (left + side, top + side), plate)
    cv2.circle(drawing.image, middle, side // 3, colors[1], -1, cv2.LINE_AA)
    letters = ''.join(chr(65 + int(26 * rng.random())) for _ in range(2))
    scale = 0.3 * side / _CAPITALS
    at = middle[0] - round(0.3 * side), middle[1] + round(0.15 * side)
    cv2.putText(drawing.image, letters, at, 0, scale, (250, 250, 250), max(1, round(scale * 2)), cv2.LINE_AA)


def _color(rng: np.random.Generator) -> BGR:
    blue, green, red = (int(20 + 220 * x) for x in rng.random(3))
    return blue, green, red
