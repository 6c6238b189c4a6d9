"""Datasets on disk and their transforms."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.datasets.annotations import LabelWholeImages, LoadVocabularyAnnotations
    from hyperbolic_seg.datasets.attributes import LoadAttributes, PackAttributes
    from hyperbolic_seg.datasets.augmentation import RandomCamera
    from hyperbolic_seg.datasets.foreground import PasteForeground
    from hyperbolic_seg.datasets.loading import LoadVerifiedImage, read_image
    from hyperbolic_seg.datasets.vocabulary_dataset import VocabularyDataset

__all__ = [
    'LabelWholeImages',
    'LoadAttributes',
    'LoadVerifiedImage',
    'LoadVocabularyAnnotations',
    'PackAttributes',
    'PasteForeground',
    'RandomCamera',
    'VocabularyDataset',
    'read_image',
]
__getattr__ = attach(
    __name__,
    dict(
        LabelWholeImages='annotations',
        LoadAttributes='attributes',
        LoadVerifiedImage='loading',
        LoadVocabularyAnnotations='annotations',
        PackAttributes='attributes',
        PasteForeground='foreground',
        RandomCamera='augmentation',
        VocabularyDataset='vocabulary_dataset',
        read_image='loading',
    ),
)
