"""Labels of attributes, such as how thick a cloud is, beside the labels of classes."""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import TRANSFORMS
from torch import from_numpy

from hyperbolic_seg.datasets.annotations import read_labels


@TRANSFORMS.register_module()
class LoadAttributes(BaseTransform):
    """Load the file of the attributes of an image, after its labels.

    Reads ``attributes_path``, or takes the values under ``attributes``: for every pixel a bit for each value that is
    possible, in the order of the taxonomy; no bit of an attribute where it is not told. So 6 says "thick or opaque" of
    the values thin, thick and opaque.

    Args:
        backend_args: Arguments of the file backend.
    """

    def __init__(self, backend_args: dict[str, Any] | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_attributes``, uint8 (H, W), as a further label for the transforms that follow.

        Raises:
            KeyError: There is neither a file nor values.
            ValueError: The file is unreadable, has several channels or 16 bits, or another size than the labels.
        """
        if 'attributes' not in results and 'attributes_path' not in results:
            raise KeyError(
                f'{results.get("img_path", "the image")} has no attributes: set attributes_path in data_prefix of its '
                'dataset, or leave out LoadAttributes'
            )
        path = results.get('attributes_path', 'attributes')
        values = results.pop('attributes') if 'attributes' in results else read_labels(path, self.backend_args)
        labels = results['gt_seg_map']
        if values.dtype != np.uint8 or values.shape != labels.shape:
            raise ValueError(
                f'{path} is {values.dtype} of {values.shape}, the labels are {labels.shape}: expected 8 bits and the '
                'size of the labels'
            )
        results['gt_attributes'] = values
        results['seg_fields'].append('gt_attributes')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'


@TRANSFORMS.register_module()
class PackAttributes(PackSegInputs):
    """MMSegmentation's ``PackSegInputs``, with the attributes of the pixels where they were loaded."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return ``inputs`` and ``data_samples``, which have ``gt_attributes``, int64 (1, H, W)."""
        packed: dict[str, Any] = super().transform(results)
        if 'gt_attributes' in results:
            values = from_numpy(np.ascontiguousarray(results['gt_attributes'][None]).astype(np.int64))
            packed['data_samples'].set_data(dict(gt_attributes=PixelData(data=values)))
        return packed
