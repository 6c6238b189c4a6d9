"""Pictures of a camera, read one by one: bright disks, the brightest of all, and a stack at a reduced size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import read_regular
from hyperbolic_seg.images import MAX_BYTES, decode_image
from hyperbolic_seg.sky.camera.calibration.disks import Disk, find_disks
from hyperbolic_seg.sky.camera.sky_camera import SkyCamera
from hyperbolic_seg.sky.camera.sun import Place

FINE = 1024
"""Longest side in pixels at which disks and the dome are looked for."""
COARSE = 400
"""Longest side of the pictures that the mask is made of: 64 of them take 120 MB as numbers."""
STACK = 64
"""Number of these pictures."""

_BRIGHT = 64  # levels: by day the middle of the sky is brighter


@dataclass(frozen=True)
class Pictures:
    """What was read of the pictures of one camera.

    Attributes:
        files: Files that could be read.
        times: When each was taken; ``None`` if unknown.
        place: Where the camera is; ``None`` if unknown.
        disks: Bright disks of each, in its own pixels.
        size: Width and height of the pictures.
        brightest: Highest level of every pixel, reduced to :data:`FINE`, (H, W, 3).
        stack: Some of the pictures, by day if there are enough, reduced to :data:`COARSE`, (T, H, W, 3).
        refused: Files that could not be used, and why.
    """

    files: list[str]
    times: list[datetime | None]
    place: Place | None
    disks: list[list[Disk]]
    size: tuple[int, int]
    brightest: NDArray[np.uint8]
    stack: NDArray[np.uint8]
    refused: dict[str, str]


def read_pictures(
    files: Sequence[str], camera: SkyCamera, *, on_picture: Callable[[], None] = lambda: None
) -> Pictures:
    """Read pictures one by one; what is kept of each is small.

    Args:
        files: Files of pictures of one size.
        camera: What is known of the camera, for the times and the place.
        on_picture: Called after each picture.

    Raises:
        ValueError: No picture can be read, or most are of another size than the first.
    """
    kept: list[str] = []
    refused: dict[str, str] = {}
    disks: list[list[Disk]] = []
    small: list[NDArray[np.uint8]] = []
    size, brightest = None, np.zeros((0, 0, 3), np.uint8)
    every = max(1, -(-len(files) // (2 * STACK)))
    for number, file in enumerate(files):
        try:
            image = decode_image(read_regular(file, max_bytes=MAX_BYTES), file)
            own = image.shape[1], image.shape[0]
            if size is not None and own != size:
                raise ValueError(f'it has {own[0]} x {own[1]} pixels, and the first picture {size[0]} x {size[1]}')
        except (OSError, ValueError, cv2.error) as error:
            refused[file] = ' '.join(str(error).split())
            continue
        finally:
            on_picture()
        fine = reduced(image, FINE)
        brightest = fine if size is None else np.maximum(brightest, fine)
        size = own
        kept.append(file)
        disks.append([_scaled(disk, own[0] / fine.shape[1]) for disk in find_disks(fine)])
        if number % every == 0:
            small.append(reduced(fine, COARSE))
    if size is None or len(refused) > len(kept):
        why = next(iter(refused.items()), ('', 'there is none'))
        raise ValueError(f'{len(refused)} of {len(files)} pictures cannot be used, the first is {why[0]}: {why[1]}')
    times, place = _taken(kept, camera)
    return Pictures(kept, times, place, disks, size, brightest, _by_day(small), refused)


def _taken(files: Sequence[str], camera: SkyCamera) -> tuple[list[datetime | None], Place | None]:
    """Return the times of files, and the place of the first that has one.

    Raises:
        ValueError: A time does not exist in its time zone.
    """
    taken = [camera.taken(file) for file in files]
    return [one.time for one in taken], next((one.place for one in taken if one.place), None)


def reduced(image: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """Return an image whose sides are at most so long."""
    height, width = image.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return image
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _scaled(disk: Disk, factor: float) -> Disk:
    x, y = ((place + 0.5) * factor - 0.5 for place in disk.center)
    return Disk((x, y), disk.radius * factor)


def _by_day(small: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return at most :data:`STACK` pictures, those by day if at least half as many as that or all others are."""
    height, width = small[0].shape[:2]
    rows, columns = slice(height // 3, 2 * height // 3), slice(width // 3, 2 * width // 3)
    bright = [one for one in small if np.median(one[rows, columns]) > _BRIGHT]
    chosen = bright if len(bright) >= min(STACK // 4, len(small) // 2) else small
    step = max(1, -(-len(chosen) // STACK))
    return np.stack(chosen[::step])
