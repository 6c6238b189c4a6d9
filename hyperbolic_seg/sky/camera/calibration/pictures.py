"""Pictures of a camera, read one by one: bright disks, points of light, and a stack at a reduced size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import read_regular
from hyperbolic_seg.images import MAX_BYTES, decode_any, image_within
from hyperbolic_seg.sky.camera.calibration.disks import Disk, find_disks
from hyperbolic_seg.sky.camera.calibration.points import Point, find_points
from hyperbolic_seg.sky.camera.dome import Dome, find_dome
from hyperbolic_seg.sky.camera.sky_camera import SkyCamera
from hyperbolic_seg.sky.camera.sun import Place

FINE = 1024
"""Longest side in pixels at which disks and the dome are looked for."""
COARSE = 400
"""Longest side of the pictures that the mask is made of: 64 of them take 120 MB as numbers."""
STACK = 64
"""Number of these pictures."""
DOMES = 24
"""Pictures in which the dome is looked for, about."""

_BRIGHT = 64  # levels: by day the middle of the sky is brighter


@dataclass(frozen=True)
class Pictures:
    """What was read of the pictures of one camera.

    Attributes:
        files: Files that could be read.
        times: When each was taken; ``None`` if unknown.
        place: Where the camera is; ``None`` if unknown.
        disks: Bright disks of each, in its own pixels.
        points: Points of light of each in the dark, in its own pixels; none by day.
        size: Width and height of the pictures.
        domes: Domes of some of the pictures by day, in pixels of the pictures; ``None`` where there is none.
        brightest: Highest level of every pixel, reduced to 1024 pixels a side, (H, W, 3).
        mean: Mean of the pictures by day, of the same size; black without any.
        stack: Some of the pictures, by day if there are enough, reduced to 400 pixels a side, (T, H, W, 3).
        refused: Files that could not be used, and why.
    """

    files: list[str]
    times: list[datetime | None]
    place: Place | None
    disks: list[list[Disk]]
    points: list[list[Point]]
    size: tuple[int, int]
    domes: list[Dome | None]
    brightest: NDArray[np.uint8]
    mean: NDArray[np.uint8]
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
        ValueError: No picture can be read, most are of another size than the first, or a time does not exist.
        ImportError: The package that reads a format is missing.
    """
    refused: dict[str, str] = {}
    read = _Reader(len(files))
    for number, file in enumerate(files):
        try:
            image = decode_any(read_regular(file, max_bytes=MAX_BYTES), file, levels=camera.levels)
            read.check(image)
        except (OSError, ValueError, cv2.error) as error:
            refused[file] = ' '.join(str(error).split())
        else:
            read.add(file, number, image)
        on_picture()
    if not read.files or len(refused) > len(read.files):
        why = next(iter(refused.items()), ('', 'there is none'))
        raise ValueError(f'{len(refused)} of {len(files)} pictures cannot be used, the first is {why[0]}: {why[1]}')
    return read.pictures(camera, refused)


class _Reader:
    """Keeps of each picture what a calibration needs."""

    def __init__(self, count: int) -> None:
        self.files: list[str] = []
        self._often = max(1, -(-count // (2 * STACK)))
        self._seldom = max(1, count // DOMES)
        self._disks: list[list[Disk]] = []
        self._points: list[list[Point]] = []
        self._small: list[NDArray[np.uint8]] = []
        self._domes: list[Dome | None] = []
        self._size = (0, 0)
        self._brightest = np.zeros((0, 0, 3), np.uint8)
        self._sum = np.zeros((0, 0, 3), np.float32)
        self._bright = 0

    def check(self, image: NDArray[np.uint8]) -> None:
        """Raise ``ValueError`` for an image of another size than the first."""
        own, first = (image.shape[1], image.shape[0]), self._size
        if self.files and own != first:
            raise ValueError(f'it has {own[0]} x {own[1]} pixels, and the first picture {first[0]} x {first[1]}')

    def add(self, file: str, number: int, image: NDArray[np.uint8]) -> None:
        """Keep what is needed of an image."""
        fine = image_within(image, FINE)
        if not self.files:
            self._size = image.shape[1], image.shape[0]
            self._brightest, self._sum = np.zeros_like(fine), np.zeros(fine.shape, np.float32)
        factor = self._size[0] / fine.shape[1]
        self.files.append(file)
        self._brightest = np.maximum(self._brightest, fine)
        self._disks.append([_scaled(disk, factor) for disk in find_disks(fine)])
        if number % self._often == 0:
            self._small.append(image_within(fine, COARSE))
        bright = _is_bright(fine)
        self._points.append([] if bright else [_moved(point, factor) for point in find_points(fine)])
        if bright:
            self._sum += fine
            self._bright += 1
            if number % self._seldom == 0:
                self._domes.append(dome_of(fine, factor))

    def pictures(self, camera: SkyCamera, refused: dict[str, str]) -> Pictures:
        """Return what was kept, with times and place."""
        times, place = _taken(self.files, camera)
        mean = np.asarray(self._sum / max(self._bright, 1), np.uint8)
        return Pictures(
            files=self.files,
            times=times,
            place=place,
            disks=self._disks,
            points=self._points,
            size=self._size,
            domes=self._domes,
            brightest=self._brightest,
            mean=mean,
            stack=_by_day(self._small),
            refused=refused,
        )


def _taken(files: Sequence[str], camera: SkyCamera) -> tuple[list[datetime | None], Place | None]:
    """Return the times of files, and the place of the first that has one.

    Raises:
        ValueError: A time does not exist in its time zone.
    """
    taken = [camera.taken(file) for file in files]
    return [one.time for one in taken], next((one.place for one in taken if one.place), None)


def _scaled(disk: Disk, factor: float) -> Disk:
    return Disk(_larger(disk.center, factor), disk.radius * factor, disk.spread * factor)


def _moved(point: Point, factor: float) -> Point:
    return point._replace(center=_larger(point.center, factor))


def _larger(place: tuple[float, float], factor: float) -> tuple[float, float]:
    """Return a place in an image that is larger by a factor."""
    x, y = ((number + 0.5) * factor - 0.5 for number in place)
    return x, y


def dome_of(image: NDArray[np.uint8], factor: float) -> Dome | None:
    """Return the dome of an image in pixels of one that is larger by a factor, ``None`` if it shows none."""
    try:
        return find_dome(image).scaled(factor, factor)
    except ValueError:
        return None


def _is_bright(image: NDArray[np.uint8]) -> bool:
    """Return whether the middle of an image is as bright as the sky by day."""
    height, width = image.shape[:2]
    middle = image[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
    return float(np.median(middle)) > _BRIGHT


def _by_day(small: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return at most 64 pictures, those by day if at least half as many as that or all others are."""
    bright = [one for one in small if _is_bright(one)]
    chosen = bright if len(bright) >= min(STACK // 4, len(small) // 2) else small
    step = max(1, -(-len(chosen) // STACK))
    return np.stack(chosen[::step])
