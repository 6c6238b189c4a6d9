"""Examination of the pictures of a camera, before a model sees them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.camera.exif import Exif
from hyperbolic_seg.sky.camera.fits_header import FitsHeader
from hyperbolic_seg.sky.camera.quality import Quality, Repeats, quality_of
from hyperbolic_seg.sky.camera.sky_camera import SkyCamera, View

_HORIZON = 85.0  # degrees from the zenith, where nearly every camera sees something sharp
_SIDE = 512  # pixels, of the picture in which blur is looked for


class Examination(NamedTuple):
    """What is known of a picture without a model."""

    view: View
    """Its view, reduced if it is large; without any pixel if the picture is refused and has no dome."""
    quality: Quality
    """Its quality."""


def examine(
    image: NDArray[np.uint8],
    file: str,
    camera: SkyCamera,
    repeats: Repeats,
    *,
    exif: Exif | FitsHeader | None = None,
    size: tuple[int, int] | None = None,
) -> Examination:
    """Return the view and the quality of a picture.

    Args:
        image: BGR image, (H, W, 3), a large one best reduced by :func:`~hyperbolic_seg.images.reduced_image`.
        file: Its file.
        camera: Its camera.
        repeats: The pictures before it.
        exif: EXIF data or FITS header of a picture in memory, whose file is a mere name then.
        size: Height and width that it had before it was reduced; by default it was not.

    Raises:
        ValueError: The camera cannot have taken it, by its size or its dome, and its quality is no reason for that.
    """
    try:
        view = camera.view(image, file, after=repeats.time, exif=exif, reduced=True, size=size)
    except ValueError:
        quality = quality_of(image, file=file)  # a black frame has no dome either, and that it is black says more
        if quality.name != 'refused':
            raise
        return Examination(camera.unseen(file, after=repeats.time, exif=exif), quality)
    quality = quality_of(image, seen=view.weights > 0, dome=_dome_to_horizon(camera, image, size), file=file)
    if repeats.add(image, view.time, file):
        quality = Quality.of('repeated', *quality.reasons)
    return Examination(view, quality)


def _dome_to_horizon(
    camera: SkyCamera, image: NDArray[np.uint8], size: tuple[int, int] | None
) -> NDArray[np.bool_] | None:
    """Return True for the pixels of a dome that is seen down to the horizon, in a reduced picture; else ``None``."""
    height, width = image.shape[:2] if size is None else size
    factor = min(1.0, _SIDE / max(height, width))
    rows, columns = max(1, round(height * factor)), max(1, round(width * factor))
    angle = np.nan_to_num(camera.lens(image, size=size).scaled(factor).directions(rows, columns)[0], nan=np.inf)
    inside = angle <= 90.0
    return inside if (inside & (angle > _HORIZON)).any() else None
