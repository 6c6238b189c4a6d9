"""Reading images and masks whole or not at all, and rescaling them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np
from errors import Refused

CLEAR_SKY, CLOUD, IGNORE = 0, 1, 255


def picture_format(head: bytes) -> str:
    """Suffix of the format a file is in, judged by its first bytes: '.png', '.jpg' or ''."""
    if head.startswith(b'\x89PNG\r\n\x1a\n'):
        return '.png'
    return '.jpg' if head.startswith(b'\xff\xd8\xff') else ''


def read_file(path: Path) -> bytes:
    """Read a file of the source.

    Raises:
        Refused: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(f'{path.name} cannot be read: {error.strerror}') from None


def decode(content: bytes, flags: int, name: str) -> np.ndarray:
    """Decode an image as OpenCV does, but never a part of one.

    Raises:
        Refused: It is no image, or cut short.
    """
    picture = None
    try:
        if content and _is_whole(content):
            picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        pass
    if picture is None:
        raise Refused(f'{name} is not a readable image, or cut short')
    return np.asarray(picture)


def _is_whole(content: bytes) -> bool:
    """Look for the end of a PNG or JPEG, because decoders make up what is missing."""
    kind = picture_format(content)
    if kind == '.png':
        return b'IEND' in content[-64:]
    # JPEG ends with a mark after the start of its last scan; no mark can occur in a scan's data.
    return kind == '' or content.rfind(b'\xff\xd9') > content.rfind(b'\xff\xda')


def read_exact(path: Path, meaning: Mapping[int, int]) -> np.ndarray:
    """Read a mask whose grey values are labels.

    Args:
        path: Mask file, grey or with equal colour channels.
        meaning: Our label of each grey value.

    Returns:
        Labels (H, W), uint8.

    Raises:
        Refused: It is unreadable, coloured or holds other values.
    """
    grey = decode(read_file(path), cv2.IMREAD_UNCHANGED, path.name)
    if grey.ndim == 3:
        colours = grey[..., : 3 if grey.shape[2] >= 3 else 1]
        grey = colours[..., 0]
        if (colours != grey[..., None]).any():
            raise Refused(f'{path.name} is coloured, expected grey values {_listed(meaning)}')
    values = [int(value) for value in np.unique(grey)]
    unknown = [value for value in values if value not in meaning]
    if unknown:
        found, expected = _listed(unknown), _listed(meaning)
        raise Refused(f'{path.name} has unknown values {found}, expected {expected}')
    table = np.full(max(values) + 1, IGNORE, np.uint8)
    for value in values:
        table[value] = meaning[value]
    return np.asarray(table[grey])


def read_thresholded(path: Path, threshold: int = 128) -> np.ndarray:
    """Read a mask of clear sky (dark) and cloud (bright) that compression has blurred.

    Returns:
        Labels (H, W), uint8: cloud where the grey value is at least the threshold.

    Raises:
        Refused: It is unreadable.
    """
    grey = decode(read_file(path), cv2.IMREAD_GRAYSCALE, path.name)
    return np.where(grey >= threshold, CLOUD, CLEAR_SKY).astype(np.uint8)


def _listed(values: Iterable[int], shown: int = 8) -> str:
    values = sorted(values)
    return ', '.join(map(str, values[:shown])) + (', ...' if len(values) > shown else '')


def rescale(picture: np.ndarray, size: int | None, *, is_mask: bool = False) -> np.ndarray:
    """Scale a picture so that its longer side is ``size``, keeping the aspect ratio.

    Args:
        picture: (H, W) or (H, W, C).
        size: Longer side in pixels; None leaves the picture as it is.
        is_mask: Whether the values are labels, which must not be mixed.
    """
    height, width = picture.shape[:2]
    longer = max(height, width)
    if size is None or size == longer:
        return picture
    new_height = max(1, round(height * size / longer))
    new_width = max(1, round(width * size / longer))
    if is_mask:
        # Nearest pixel by its centre. OpenCV's INTER_NEAREST shifts labels by up to half a pixel
        # against the image, and INTER_NEAREST_EXACT differs between OpenCV's versions.
        rows = (2 * np.arange(new_height) + 1) * height // (2 * new_height)
        columns = (2 * np.arange(new_width) + 1) * width // (2 * new_width)
        return picture[rows[:, None], columns]
    how = cv2.INTER_AREA if size < longer else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (new_width, new_height), interpolation=how))
