"""Augmentation by what stands in front of the sky in other images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

from hyperbolic_seg.datasets.loading import read_image
from hyperbolic_seg.options import check_number

_EDGE = 0.7  # standard deviation of the blur of an outline, in pixels


@TRANSFORMS.register_module()
class PasteForeground(BaseTransform):
    """Paste things that stand in front of the sky in other images over an image and its labels.

    Sets with clouds labeled by hand show no houses, and rendered houses stand in front of rendered skies. So a model
    can tell that something is a house by the renderer's style, which does not help on a real image. In front of real
    skies it has to know houses. Use it after the crop, so that outlines are as sharp as they were drawn. Pixels that
    are ignored stay as they are.

    Args:
        donors: Folders with ``images/NAME.png`` and ``masks/NAME.png``, as ``tools/make_sky.py`` writes them.
        ids: Labels in the masks of what is pasted; they are its labels in the result as well.
        prob: Probability that an image is changed.

    Raises:
        FileNotFoundError: A folder has no images.
        ValueError: ``prob`` is no probability, or an id is no label of 8 bits.
    """

    def __init__(self, donors: Sequence[str], ids: Sequence[int], prob: float = 0.5) -> None:
        check_number('prob', prob, least=0, most=1)
        if not ids or not all(isinstance(number, int) and 0 <= number < 255 for number in ids):
            raise ValueError(f'ids={ids!r}: expected some labels from 0 to 254')
        self.donors, self.ids, self.prob = [str(folder) for folder in donors], tuple(ids), prob
        self._masks: list[Path] = []
        for folder in self.donors:
            masks = sorted(Path(folder, 'masks').glob('*.png'))
            if not masks:
                raise FileNotFoundError(f'{folder}/masks holds no PNG files: write some by tools/make_sky.py {folder}')
            self._masks += masks

    # No docstring: Sphinx fails on methods under mmcv's decorator.
    @cache_randomness
    def _draw(self) -> tuple[Path, int, bool]:
        return self._masks[np.random.randint(len(self._masks))], np.random.randint(4), np.random.random() < 0.5

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``img``, uint8 (H, W, 3), ``gt_seg_map`` and, if it is there, ``gt_attributes``, (H, W).

        Raises:
            ValueError: The image and the mask of a donor differ in size, or one of them is not readable.
        """
        if np.random.random() >= self.prob:
            return results
        image, labels = results['img'], results['gt_seg_map']
        donor, mask = _read_donor(*self._draw(), size=image.shape[1::-1])
        shown = np.isin(mask, self.ids) & (labels != results.get('ignore_index', 255))
        share = cv2.GaussianBlur(shown.astype(np.float32), (0, 0), _EDGE)[..., None]
        mixed = image + (donor.astype(np.float32) - image) * share
        results['img'] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
        results['gt_seg_map'] = np.where(shown, mask, labels).astype(labels.dtype)
        if 'gt_attributes' in results:
            results['gt_attributes'] = np.where(shown, 0, results['gt_attributes']).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(donors={self.donors}, ids={self.ids}, prob={self.prob})'


def _read_donor(
    path: Path, turns: int, mirrored: bool, *, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a donor's image (H, W, 3) and mask (H, W), turned by right angles and scaled to a width and height."""
    source = path.parent.parent / 'images' / path.name
    image, mask = read_image(str(source)), cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.shape != image.shape[:2]:
        raise ValueError(f'{path} is no mask of one channel of the size of {source}')
    image, mask = np.rot90(image, turns), np.rot90(mask, turns)
    if mirrored:
        image, mask = image[:, ::-1], mask[:, ::-1]
    image, mask = np.ascontiguousarray(image), np.ascontiguousarray(mask)
    scaled = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    return (
        np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8),
        np.asarray(scaled, np.uint8),
    )
