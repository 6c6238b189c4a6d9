"""Answers about an image: its record, and its maps for the screen."""

import base64
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.apis import record_of
from hyperbolic_seg.app.batch import Found
from hyperbolic_seg.app.web.image_store import Pixels, StoredImage
from hyperbolic_seg.sky.camera import SkyCamera, View
from hyperbolic_seg.visualization import blend, color_values

BYTES = 13
"""Memory for each pixel and prompt of an image that is predicted as a whole, with 3500 x 3500 pixels and 15 prompts."""
BYTES_WITH_CAMERA = 28
"""The same with a camera."""

_SHADE = 150  # opacity of pixels that do not count, of 255


def check_memory(image: Pixels, prompts: int, *, camera: bool, most: int) -> None:
    """Refuse an image that takes too much memory to predict at the size of all its pixels.

    Args:
        image: The image, (H, W, 3).
        prompts: Number of prompts.
        camera: Whether it is of a camera, whose pixels need their probabilities.
        most: Limit of the memory in bytes.

    Raises:
        ValueError: It takes more.
    """
    height, width = image.shape[:2]
    needed = height * width * prompts * (BYTES_WITH_CAMERA if camera else BYTES)
    if needed > most:
        raise ValueError(
            f'{width} x {height} pixels with {prompts} prompts take about {needed / 1e9:.1f} GB to predict: '
            f'expected at most {most / 1e9:g} GB; reduce the image, or give fewer prompts'
        )


def answer(stored: StoredImage, found: Found, camera: SkyCamera | None) -> dict[str, Any]:
    """Return the answer about an image; the maps have the size of its preview.

    Args:
        stored: The image.
        found: What was found in it.
        camera: The camera that took it.
    """
    size = dict(width=stored.pixels.shape[1], height=stored.pixels.shape[0])
    if found.prediction is None:
        answered: dict[str, Any] = dict(record=dict(image=stored.name, **size) | found.about, classes=[])
    else:
        answered = dict(record=record_of(found.prediction, source=stored.name) | found.about)
        answered |= _maps(stored.preview, found.prediction, answered['record'])
    if camera is not None and found.view is not None:
        answered['marks'] = _marks(stored, found.view, camera)
    return answered


def data_url(image: NDArray[Any]) -> str:
    """Return an image as PNG in a data URL.

    Raises:
        ValueError: It cannot be encoded.
    """
    done, content = cv2.imencode('.png', image)
    if not done:
        raise ValueError('a map could not be encoded as PNG')
    return 'data:image/png;base64,' + base64.b64encode(content.tobytes()).decode()


def _maps(preview: Pixels, prediction: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """Return shares, means and maps of a prediction."""
    palette, size = prediction['palette'], preview.shape[1::-1]
    uncertainty = 1 - prediction['confidence']
    labels = _resized(prediction['labels'], size, cv2.INTER_NEAREST)
    shares = zip(record['fractions'].items(), palette, strict=True)
    maps: dict[str, Any] = dict(
        classes=[dict(name=name, color=color, fraction=share) for (name, share), color in shares],
        mean_confidence=record['mean_confidence'],
        overlay=data_url(blend(preview[..., ::-1], labels, palette)[..., ::-1]),
        labels=data_url(labels),
        uncertainty=data_url(color_values(_resized(uncertainty, size, cv2.INTER_AREA))[..., ::-1]),
    )
    if 'sure' in record:
        maps['nodes'] = [dict(name=name, fraction=share) for name, share in record['sure'].items() if share > 0]
    return maps


def _marks(stored: StoredImage, view: View, camera: SkyCamera) -> dict[str, Any]:
    """Return the positions of sun and moon in the image, and the map of what does not count."""
    shape, marks = stored.pixels.shape, dict[str, Any](sun=None, moon=None, hidden=None)
    if not view.weights.size:  # a refused picture without a dome
        return marks
    lens = camera.lens(stored.pixels)
    for name, body in (('sun', view.sun), ('moon', view.moon)):
        if body is not None and body.elevation > 0:
            x, y = (float(each[0]) for each in lens.pixels(np.array([90 - body.elevation]), np.array([body.azimuth])))
            inside = math.isfinite(x + y) and 0 <= x <= shape[1] - 1 and 0 <= y <= shape[0] - 1
            marks[name] = dict(x=x, y=y) if inside else None
    size = stored.preview.shape[1::-1]
    unseen = _resized((view.weights <= 0).astype(np.uint8), size, cv2.INTER_NEAREST)
    shade = np.zeros((*unseen.shape, 4), np.uint8)
    shade[..., 3] = unseen * np.uint8(_SHADE)
    marks['hidden'] = data_url(shade)
    return marks


def _resized(values: NDArray[Any], size: tuple[int, ...], interpolation: int) -> NDArray[Any]:
    """Return a map (H, W) at a size, width and height."""
    if values.shape == size[::-1]:
        return values
    return np.asarray(cv2.resize(values, size, interpolation=interpolation), values.dtype)
