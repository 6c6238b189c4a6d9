"""Reading images and label files, with errors that name the file."""

import cv2
import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

from hyperbolic_seg.files import read_regular
from hyperbolic_seg.images import MAX_BYTES, MAX_PIXELS, decode_image
from hyperbolic_seg.text import PICTURE


def read_image(path: str, *, max_pixels: int = MAX_PIXELS, backend_args: dict | None = None) -> NDArray[np.uint8]:
    """Read an image file as :func:`~hyperbolic_seg.images.decode_image` decodes it.

    Args:
        path: The file, or what the backend knows by this name.
        max_pixels: An image of more pixels is refused.
        backend_args: Arguments of MMEngine's file backend.

    Returns:
        (H, W, 3), BGR.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no regular file, or no image that can be read; the message names it.
    """
    if backend_args is None and '://' not in path:
        content = read_regular(path, max_bytes=MAX_BYTES)
    else:
        content = bytes(fileio.get(path, backend_args=backend_args))
    return decode_image(content, path, max_pixels=max_pixels)


@TRANSFORMS.register_module()
class LoadVerifiedImage(BaseTransform):
    """Load an image file as 8-bit BGR, see :func:`read_image`; an array under ``img`` is taken as it is.

    Args:
        to_float32: Turn the values to float32.
        max_pixels: Of an image, beyond which it is refused.
        backend_args: Arguments of the file backend.
    """

    def __init__(
        self, to_float32: bool = False, max_pixels: int = MAX_PIXELS, backend_args: dict | None = None
    ) -> None:
        self.to_float32 = to_float32
        self.max_pixels = max_pixels
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Add ``img``, ``img_shape`` and ``ori_shape``.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is not a readable image; the message names it.
        """
        if 'img' not in results:
            options: dict = dict(max_pixels=self.max_pixels, backend_args=self.backend_args)
            results['img'] = read_image(results['img_path'], **options)
        if self.to_float32:
            results['img'] = results['img'].astype(np.float32)
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(to_float32={self.to_float32}, max_pixels={self.max_pixels})'


@TRANSFORMS.register_module()
class LoadVocabularyAnnotations(BaseTransform):
    """Load a label file, check it against its image and its vocabulary, and map its ids to classes.

    Needs ``label_map`` and ``seg_map_path``, or the ids themselves under ``seg_map``; an image loaded before
    gives the size to expect. Ids above 255 (16-bit files) are kept, unlike in MMSegmentation's own loader.

    Args:
        backend_args: Arguments of the file backend.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Add ``gt_seg_map`` of shape (H, W).

        Raises:
            ValueError: The file is unreadable, has more than one channel, another size than its image or
                an id outside the vocabulary; the message names the file.
        """
        path = results.get('seg_map_path') or results['img_path']
        labels = results.pop('seg_map') if 'seg_map' in results else self._decode(path)
        expected = tuple(results.get('ori_shape', labels.shape))
        if labels.shape != expected:
            raise ValueError(
                f'{path} is {_size(labels.shape)}, its image {results.get("img_path", "")} is {_size(expected)}: '
                'a label file has the size of its image'
            )
        results['gt_seg_map'] = self._map(labels, results, path)
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def _decode(self, path: str) -> np.ndarray:
        content = np.frombuffer(fileio.get(path, backend_args=self.backend_args), np.uint8)
        labels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
        if labels is None:
            raise ValueError(f'{path} is not a readable label file')
        if labels.ndim != 2:
            raise ValueError(f'{path} has {labels.shape[2]} channels: a label file has one, holding class ids')
        return labels

    @staticmethod
    def _map(labels: np.ndarray, results: dict, path: str) -> np.ndarray:
        ignore, label_map = results.get('ignore_index', 255), results['label_map']
        table = np.full(max(int(labels.max()), ignore, *label_map) + 1, -1, np.int64)
        table[ignore] = ignore
        table[list(label_map)] = list(label_map.values())
        mapped = table[labels]
        if (mapped < 0).any():
            strangers = np.unique(labels[mapped < 0])[:10].tolist()
            raise ValueError(
                f'{path} holds the values {strangers}: expected class ids 0 to {max(label_map)}, or {ignore} to ignore'
            )
        return mapped.astype(np.uint8 if mapped.max() <= 255 else np.int64)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'


@TRANSFORMS.register_module()
class LabelWholeImages(BaseTransform):
    """Say of labels that they are of the whole picture, not of the pixel; after :class:`LoadVocabularyAnnotations`.

    A picture of a set such as CCSN shows one genus, and its label file has that id at every pixel, sky and ground
    included. Here the ids become ``PICTURE + id``, which :class:`HierarchicalCrossEntropyLoss` reads accordingly.
    """

    def transform(self, results: dict) -> dict:
        """Change ``gt_seg_map``, uint8 (H, W).

        Raises:
            ValueError: An id leaves no room for the mark, or the ids are of 16 bits.
        """
        labels, ignore = results['gt_seg_map'], results.get('ignore_index', 255)
        if ignore > 255:
            raise ValueError(f'labels of pictures have 8 bits, ignore_index is {ignore}: expected at most 255')
        valid = labels != ignore
        largest = int(labels[valid].max(initial=0))
        if largest + PICTURE >= ignore:
            raise ValueError(
                f'{results.get("seg_map_path", "a label file")} has ids up to {largest}: expected less than '
                f'{ignore - PICTURE} to be marked as labels of a picture'
            )
        results['gt_seg_map'] = np.where(valid, labels.astype(np.int64) + PICTURE, ignore).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _size(shape: tuple[int, ...]) -> str:
    return f'{shape[1]} x {shape[0]}'
