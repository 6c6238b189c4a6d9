"""Reading of complete images and masks, and rescaling."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np
from errors import Refused

CLEAR_SKY, CLOUD, IGNORE = 0, 1, 255


def image_format(head: bytes) -> str:
    """Return the suffix of a file's format from its first bytes: '.png', '.jpg' or ''."""
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
    """Decode an image with OpenCV; refuse one that is cut short.

    Raises:
        Refused: It is not an image, or it is cut short.
    """
    image = None
    try:
        if content and _is_whole(content):
            image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        pass
    if image is None:
        raise Refused(f'{name} is not a readable image, or cut short')
    return np.asarray(image)


def _is_whole(content: bytes) -> bool:
    """Look for the end of a PNG or JPEG, because decoders fill in missing data."""
    kind = image_format(content)
    if kind == '.png':
        return b'IEND' in content[-64:]
    # JPEG ends with a mark after the start of its last scan; no mark can occur in a scan's data.
    return kind == '' or content.rfind(b'\xff\xd9') > content.rfind(b'\xff\xda')


def read_exact(path: Path, meaning: Mapping[int, int]) -> np.ndarray:
    """Read a mask whose gray values are labels.

    Args:
        path: Mask file, gray or with equal color channels.
        meaning: Our label of each gray value.

    Returns:
        Labels (H, W), uint8.

    Raises:
        Refused: It is unreadable, colored or holds other values.
    """
    gray = decode(read_file(path), cv2.IMREAD_UNCHANGED, path.name)
    if gray.ndim == 3:
        colors = gray[..., : 3 if gray.shape[2] >= 3 else 1]
        gray = colors[..., 0]
        if (colors != gray[..., None]).any():
            raise Refused(f'{path.name} is colored, expected gray values {_listed(meaning)}')
    values = [int(value) for value in np.unique(gray)]
    unknown = [value for value in values if value not in meaning]
    if unknown:
        found, expected = _listed(unknown), _listed(meaning)
        raise Refused(f'{path.name} has unknown values {found}, expected {expected}')
    table = np.full(max(values) + 1, IGNORE, np.uint8)
    for value in values:
        table[value] = meaning[value]
    return np.asarray(table[gray])


def read_thresholded(path: Path, threshold: int = 128) -> np.ndarray:
    """Read a mask of clear sky (dark) and cloud (bright) that compression has blurred.

    Returns:
        Labels (H, W), uint8: cloud where the gray value is at least the threshold.

    Raises:
        Refused: It is unreadable.
    """
    gray = decode(read_file(path), cv2.IMREAD_GRAYSCALE, path.name)
    return np.where(gray >= threshold, CLOUD, CLEAR_SKY).astype(np.uint8)


def _listed(values: Iterable[int], shown: int = 8) -> str:
    values = sorted(values)
    return ', '.join(map(str, values[:shown])) + (', ...' if len(values) > shown else '')


def rescale(image: np.ndarray, size: int | None, *, is_mask: bool = False) -> np.ndarray:
    """Scale an image so that its longer side is ``size``, keeping the aspect ratio.

    Args:
        image: (H, W) or (H, W, C).
        size: Longer side in pixels; None leaves the image as it is.
        is_mask: Whether the values are labels, which must not be mixed.
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    if size is None or size == longer:
        return image
    new_height = max(1, round(height * size / longer))
    new_width = max(1, round(width * size / longer))
    if is_mask:
        # Nearest pixel by its center. OpenCV's INTER_NEAREST shifts labels by up to half a pixel
        # against the image, and INTER_NEAREST_EXACT differs between OpenCV's versions.
        rows = (2 * np.arange(new_height) + 1) * height // (2 * new_height)
        columns = (2 * np.arange(new_width) + 1) * width // (2 * new_width)
        return image[rows[:, None], columns]
    how = cv2.INTER_AREA if size < longer else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (new_width, new_height), interpolation=how))
