"""Dataset of images with label files that hold the ids of a vocabulary."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from hyperbolic_seg.text import Vocabulary

_SHOWN = 5


@DATASETS.register_module()
class VocabularyDataset(BaseSegDataset):
    """Folder of images and folder of label files.

    .. code-block:: none

        data_root
        ├── images/STEM.jpg
        ├── masks/STEM.png      one channel: class ids of ``vocabulary``, 255 ignore
        └── splits/train.txt    stems, one a line

    ``metainfo=dict(classes=...)`` selects a subset, as in MMSegmentation, and follows the hierarchy: a label counts for
    its nearest ancestor among the selected classes. If "car" is below "vehicle", the classes ``('road', 'vehicle')``
    turn pixels labeled "car" into "vehicle". A label without an ancestor among the classes is ignored.

    Args:
        ann_file: Split, a text file of stems, relative to ``data_root``; empty for all images.
        img_suffix: Suffix of the images.
        seg_map_suffix: Suffix of the label files.
        vocabulary: Meaning of the ids in the label files, an argument of :meth:`~hyperbolic_seg.text.Vocabulary.load`;
            a list is in the order of the ids.
        metainfo: ``classes`` selects a subset by a list of names or a vocabulary, ``palette`` sets other colors.
        data_prefix: Folders of images and label files, relative to ``data_root``. Without ``seg_map_path`` the images
            are unlabeled.
        **kwargs: Arguments of :class:`mmseg.datasets.BaseSegDataset`.

    Raises:
        FileNotFoundError: The split, an image or a label file is missing; the message names the first few.
        ValueError: The split is empty or a class is not in the vocabulary.
    """

    def __init__(
        self,
        ann_file: str = '',
        img_suffix: str = '.jpg',
        seg_map_suffix: str = '.png',
        *,
        vocabulary: str | Sequence[str] | Vocabulary,
        metainfo: dict[str, Any] | None = None,
        data_prefix: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get('reduce_zero_label'):
            raise ValueError('reduce_zero_label is for sets in which id 0 is not a class; here it is one: leave it out')
        self.vocabulary = Vocabulary.load(vocabulary)
        metainfo = dict(metainfo or {})
        classes = metainfo.get('classes', self.vocabulary.names)
        chosen = self.vocabulary.subset(Vocabulary.load(classes).names if isinstance(classes, str) else classes)
        metainfo['classes'] = chosen.names
        metainfo.setdefault('palette', chosen.palette)
        super().__init__(
            ann_file=ann_file,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            metainfo=metainfo,
            data_prefix=data_prefix or dict(img_path='images', seg_map_path='masks'),
            **kwargs,
        )

    def get_label_map(self, new_classes: Sequence[str] | None = None) -> dict[int, int]:
        """Map every id of the vocabulary to a class index, or to ``ignore_index`` outside the selected classes."""
        chosen = self.vocabulary.subset(new_classes or self.vocabulary.names)
        nearest = (chosen.nearest(concept) for concept in self.vocabulary)
        return {i: self.ignore_index if new is None else new for i, new in enumerate(nearest)}

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the samples, after checking that all their files exist."""
        if self.ann_file and not Path(self.ann_file).is_file():
            raise FileNotFoundError(f'the split {self.ann_file} does not exist; it is a text file of stems, one a line')
        folder = Path(self.data_prefix['img_path'])
        if not folder.is_dir():
            raise FileNotFoundError(f'the image folder {folder} does not exist; see data_root and data_prefix')
        samples = [sample for sample in super().load_data_list() if Path(sample['img_path']).name != self.img_suffix]
        for sample in samples:
            sample['ignore_index'] = self.ignore_index
        if not samples:
            where = self.ann_file or f'{folder} (suffix {self.img_suffix})'
            raise ValueError(f'no sample in {where}: expected stems in the split, or images with that suffix')
        paths = [sample[key] for key in ('img_path', 'seg_map_path') for sample in samples if key in sample]
        if missing := [path for path in paths if not Path(path).is_file()]:
            more = f' and {len(missing) - _SHOWN} more' if len(missing) > _SHOWN else ''
            raise FileNotFoundError(
                f'{len(missing)} of {len(paths)} files of the split are missing: {", ".join(missing[:_SHOWN])}{more}. '
                f'Check img_suffix ({self.img_suffix}) and seg_map_suffix ({self.seg_map_suffix}), or fix the split.'
            )
        return samples
