"""Ground-based images of the sky, with label files."""

from collections.abc import Sequence
from typing import Any

from mmseg.registry import DATASETS

from hyperbolic_seg.datasets import VocabularyDataset
from hyperbolic_seg.sky.defaults import known_words
from hyperbolic_seg.text import Vocabulary


@DATASETS.register_module()
class GroundCloudDataset(VocabularyDataset):
    """:class:`~hyperbolic_seg.datasets.VocabularyDataset` of the sky.

    By default label files hold 0 for clear sky, 1 for cloud and 255 for pixels to ignore. Sets with genera use
    ``vocabulary='sky'``, whose ids start with the same two. With the classes ``('clear sky', 'cloud')`` such a set
    turns cumulus into cloud. A list of names is completed by the words of the sky, so that ``'Cu'`` is below
    ``'cloud'``.

    Args:
        ann_file: Split, a text file of stems, see :class:`~hyperbolic_seg.datasets.VocabularyDataset`.
        img_suffix: Suffix of the images.
        seg_map_suffix: Suffix of the label files.
        vocabulary: Meaning of the ids in the label files; ``'sky'`` has label sets too, such as clear sky or cloud.
        **kwargs: Further arguments of :class:`~hyperbolic_seg.datasets.VocabularyDataset`.
    """

    METAINFO = dict(classes=('clear sky', 'cloud'), palette=[[66, 133, 244], [240, 240, 240]])

    def __init__(
        self,
        ann_file: str = '',
        img_suffix: str = '.jpg',
        seg_map_suffix: str = '.png',
        *,
        vocabulary: str | Sequence[str] | Vocabulary = 'binary',
        **kwargs: Any,
    ) -> None:
        words = Vocabulary.load(vocabulary, known=known_words())
        super().__init__(ann_file, img_suffix, seg_map_suffix, vocabulary=words, **kwargs)
