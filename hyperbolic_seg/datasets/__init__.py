"""Datasets on disk and their transforms."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.datasets.annotations import LabelWholeImages, LoadVocabularyAnnotations
    from hyperbolic_seg.datasets.augmentation import RandomCamera
    from hyperbolic_seg.datasets.foreground import PasteForeground
    from hyperbolic_seg.datasets.loading import LoadVerifiedImage, read_image
    from hyperbolic_seg.datasets.vocabulary_dataset import VocabularyDataset

__all__ = [
    'LabelWholeImages',
    'LoadVerifiedImage',
    'LoadVocabularyAnnotations',
    'PasteForeground',
    'RandomCamera',
    'VocabularyDataset',
    'read_image',
]
__getattr__ = attach(
    __name__,
    dict(
        LabelWholeImages='annotations',
        LoadVerifiedImage='loading',
        LoadVocabularyAnnotations='annotations',
        PasteForeground='foreground',
        RandomCamera='augmentation',
        VocabularyDataset='vocabulary_dataset',
        read_image='loading',
    ),
)
