"""Dataset of images with label files that hold the ids of a vocabulary."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from hyperbolic_seg.text import LabelSet, Vocabulary

_SHOWN = 5


@DATASETS.register_module()
class VocabularyDataset(BaseSegDataset):
    """Folder of images and folder of label files.

    .. code-block:: none

        data_root
        ├── images/STEM.jpg
        ├── masks/STEM.png      one channel: class ids of ``vocabulary``, 255 ignore
        ├── attributes/STEM.png  if data_prefix names it: see :class:`LoadAttributes`
        └── splits/train.txt    stems, one a line

    ``metainfo=dict(classes=...)`` selects a subset, as in MMSegmentation, and follows the hierarchy: a label counts for
    its nearest ancestor among the selected classes. If "car" is below "vehicle", the classes ``('road', 'vehicle')``
    turn pixels labeled "car" into "vehicle". A label without an ancestor among the classes is ignored.

    A label may leave open which of several concepts it is, by a label set of the vocabulary. With all concepts as
    classes it keeps its id, which :class:`~hyperbolic_seg.models.HierarchicalCrossEntropyLoss` and the metrics know.
    With a selection it counts as a class that all its members count as, and is otherwise ignored.

    Args:
        ann_file: Split, a text file of stems, relative to ``data_root``; empty for all images.
        img_suffix: Suffix of the images.
        seg_map_suffix: Suffix of the label files.
        vocabulary: Meaning of the ids in the label files, an argument of :meth:`~hyperbolic_seg.text.Vocabulary.load`;
            a list is in the order of the ids.
        meaning: Meaning of the values in label files that do not hold the ids of ``vocabulary``: the name of a concept
            by value, or the list of names of one of its label sets, such as ``{0: ['car', 'bus'], 1: 'road'}``.
        metainfo: ``classes`` selects a subset by a list of names or a vocabulary, ``palette`` sets other colors.
        data_prefix: Folders of images and label files, relative to ``data_root``. Without ``seg_map_path`` the images
            are unlabeled; ``attributes_path`` is the folder of files with attributes.
        **kwargs: Arguments of :class:`mmseg.datasets.BaseSegDataset`.

    Raises:
        FileNotFoundError: The split, an image or a label file is missing; the message names the first few.
        ValueError: The split is empty, a class is not in the vocabulary, or a value means neither a concept nor a label
            set.
    """

    def __init__(
        self,
        ann_file: str = '',
        img_suffix: str = '.jpg',
        seg_map_suffix: str = '.png',
        *,
        vocabulary: str | Sequence[str] | Vocabulary,
        meaning: Mapping[int, str | Sequence[str]] | None = None,
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
        if chosen.names == self.vocabulary.names:
            metainfo['label_sets'] = [_as_meta(label_set, self.vocabulary) for label_set in self.vocabulary.label_sets]
        self.ids_of_values = (
            None if meaning is None else {value: _id_of(names, self.vocabulary) for value, names in meaning.items()}
        )
        super().__init__(
            ann_file=ann_file,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            metainfo=metainfo,
            data_prefix=data_prefix or dict(img_path='images', seg_map_path='masks'),
            **kwargs,
        )

    def get_label_map(self, new_classes: Sequence[str] | None = None) -> dict[int, int]:
        """Map every value of a label file to a class index or the id of a label set, or to ``ignore_index``."""
        chosen = self.vocabulary.subset(new_classes or self.vocabulary.names)
        nearest = [chosen.nearest(concept) for concept in self.vocabulary]
        new_of = {i: self.ignore_index if new is None else new for i, new in enumerate(nearest)}
        for label_set in self.vocabulary.label_sets:
            indices = {new_of[self.vocabulary.index_of(name)] for name in label_set.members}
            alone = indices.pop() if len(indices) == 1 else self.ignore_index
            new_of[label_set.id] = label_set.id if chosen.names == self.vocabulary.names else alone
        if self.ids_of_values is None:
            return new_of
        return {value: new_of[label] for value, label in self.ids_of_values.items()}

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
            if 'attributes_path' in self.data_prefix:
                stem = Path(sample['img_path']).name.removesuffix(self.img_suffix)
                sample['attributes_path'] = str(Path(self.data_prefix['attributes_path'], stem + self.seg_map_suffix))
        if not samples:
            where = self.ann_file or f'{folder} (suffix {self.img_suffix})'
            raise ValueError(f'no sample in {where}: expected stems in the split, or images with that suffix')
        paths = [
            sample[key]
            for key in ('img_path', 'seg_map_path', 'attributes_path')
            for sample in samples
            if key in sample
        ]
        if missing := [path for path in paths if not Path(path).is_file()]:
            more = f' and {len(missing) - _SHOWN} more' if len(missing) > _SHOWN else ''
            raise FileNotFoundError(
                f'{len(missing)} of {len(paths)} files of the split are missing: {", ".join(missing[:_SHOWN])}{more}. '
                f'Check img_suffix ({self.img_suffix}) and seg_map_suffix ({self.seg_map_suffix}), or fix the split.'
            )
        return samples


def _as_meta(label_set: LabelSet, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return a label set as meta information: its id and name, and the classes in it and in part in it."""
    inside = [i for i, concept in enumerate(vocabulary) if label_set.holds(concept)]
    partly = [i for i, c in enumerate(vocabulary) if label_set.overlaps(c, vocabulary) and i not in inside]
    return dict(id=label_set.id, name=label_set.name, inside=inside, partly=partly)


def _id_of(names: str | Sequence[str], vocabulary: Vocabulary) -> int:
    """Return the id of a concept, or of the label set of several.

    Raises:
        ValueError: The vocabulary has no such concept, or no such set.
    """
    if isinstance(names, str):
        return vocabulary.index_of(names)
    members = {vocabulary[vocabulary.index_of(name)].name for name in names}
    for label_set in vocabulary.label_sets:
        if members == set(label_set.members):
            return label_set.id
    known = ', '.join(str(list(label_set.members)) for label_set in vocabulary.label_sets) or 'none'
    raise ValueError(
        f'{list(names)} is no label set of the vocabulary, which has {known}: add it to "sets" of a vocabulary file '
        'such as "base: sky", and name this file as vocabulary, and as taxonomy of head, loss and metric'
    )
