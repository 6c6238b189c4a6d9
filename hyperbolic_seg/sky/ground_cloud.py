"""Images of the sky from the ground, with label files beside them."""

from collections.abc import Sequence
from typing import Any

from mmseg.registry import DATASETS

from hyperbolic_seg.datasets import VocabularyDataset


@DATASETS.register_module()
class GroundCloudDataset(VocabularyDataset):
    """A :class:`VocabularyDataset` of the sky.

    By default label files hold 0 for clear sky, 1 for cloud and 255 for pixels to ignore. Sets with genera name
    ``vocabulary='sky'``, whose node ids start with the same two: the classes ``('clear sky', 'cloud')`` of such a set
    read a cumulus pixel as cloud.

    Args:
        ann_file: See :class:`VocabularyDataset`, as for all other arguments.
        img_suffix: Suffix of the images.
        seg_map_suffix: Suffix of the label files.
        vocabulary: Meaning of the ids in the label files.
        **kwargs: The rest.
    """

    METAINFO = dict(classes=('clear sky', 'cloud'), palette=[[66, 133, 244], [240, 240, 240]])

    def __init__(
        self,
        ann_file: str = '',
        img_suffix: str = '.jpg',
        seg_map_suffix: str = '.png',
        *,
        vocabulary: str | Sequence[str] = 'binary',
        **kwargs: Any,
    ) -> None:
        super().__init__(ann_file, img_suffix, seg_map_suffix, vocabulary=vocabulary, **kwargs)
