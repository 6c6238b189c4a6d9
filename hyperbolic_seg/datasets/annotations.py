"""Loading of label files, with errors that name the file."""

from collections.abc import Iterable
from typing import Any

import cv2
import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from hyperbolic_seg.text import WHOLE_IMAGE


@TRANSFORMS.register_module()
class LoadVocabularyAnnotations(BaseTransform):
    """Load a label file, check it against its image and its vocabulary, and map ids to classes.

    Reads ``seg_map_path``, or takes the ids under ``seg_map``, and maps them by ``label_map``. If the image is loaded
    before, the labels must have its size. Unlike MMSegmentation's own loader it keeps ids above 255 (16-bit files).

    Args:
        backend_args: Arguments of the file backend.
    """

    def __init__(self, backend_args: dict[str, Any] | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_seg_map`` of shape (H, W).

        Raises:
            ValueError: The file is unreadable, has several channels, another size than its image, or an id outside the
                vocabulary; the message names it.
        """
        path = results.get('seg_map_path') or results['img_path']
        labels = results.pop('seg_map') if 'seg_map' in results else read_labels(path, self.backend_args)
        expected = tuple(results.get('ori_shape', labels.shape))
        if labels.shape != expected:
            raise ValueError(
                f'{path} is {_size(labels.shape)}, its image {results.get("img_path", "")} is {_size(expected)}: '
                'expected a label file of the size of its image'
            )
        results['gt_seg_map'] = _map_ids(labels, results['label_map'], results.get('ignore_index', 255), path)
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'


@TRANSFORMS.register_module()
class LabelWholeImages(BaseTransform):
    """Mark labels as those of whole images, after :class:`LoadVocabularyAnnotations`.

    Use it for sets whose images show one known class somewhere, while the label file has its id at every pixel. Ids
    become ``WHOLE_IMAGE + id``, which :class:`~hyperbolic_seg.models.HierarchicalCrossEntropyLoss` treats accordingly.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``gt_seg_map``, uint8 (H, W).

        Raises:
            ValueError: An id is too large for the mark, or ids have 16 bits.
        """
        labels, ignore = results['gt_seg_map'], results.get('ignore_index', 255)
        if ignore > 255:
            raise ValueError(f'labels of whole images have 8 bits, ignore_index is {ignore}: expected at most 255')
        valid = labels != ignore
        largest = int(labels[valid].max(initial=0))
        if largest + WHOLE_IMAGE >= ignore:
            raise ValueError(
                f'{results.get("seg_map_path", "a label file")} has ids up to {largest}: expected less than '
                f'{ignore - WHOLE_IMAGE} for labels of whole images'
            )
        results['gt_seg_map'] = np.where(valid, labels.astype(np.int64) + WHOLE_IMAGE, ignore).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def read_labels(path: str, backend_args: dict[str, Any] | None = None) -> np.ndarray:
    """Return the values of a label file, (H, W).

    Raises:
        ValueError: The file is unreadable, or has several channels.
    """
    content = np.frombuffer(fileio.get(path, backend_args=backend_args), np.uint8)
    labels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    if labels is None:
        raise ValueError(f'{path} is not a readable label file')
    if labels.ndim != 2:
        raise ValueError(f'{path} has {labels.shape[2]} channels: a label file has one, holding class ids')
    return labels


def _map_ids(labels: np.ndarray, label_map: dict[int, int], ignore: int, path: str) -> np.ndarray:
    """Return class indices, (H, W), for the ids of a label file."""
    table = np.full(max(int(labels.max()), ignore, *label_map) + 1, -1, np.int64)
    table[ignore] = ignore
    table[list(label_map)] = list(label_map.values())
    mapped: np.ndarray = table[labels]
    if (mapped < 0).any():
        unknown = np.unique(labels[mapped < 0])[:10].tolist()
        raise ValueError(
            f'{path} holds the values {unknown}: expected class ids {_ranges(label_map)}, or {ignore} to ignore'
        )
    return mapped.astype(np.uint8 if mapped.max() <= 255 else np.int64)


def _ranges(ids: Iterable[int]) -> str:
    """Return ids in words, such as ``0 to 28, 125 to 126``."""
    runs: list[list[int]] = []
    for number in sorted(ids):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ', '.join(f'{first} to {last}' if first < last else str(first) for first, last in runs)


def _size(shape: tuple[int, ...]) -> str:
    return f'{shape[1]} x {shape[0]}'
