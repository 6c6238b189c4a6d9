"""Datasets on disk and their transforms."""

from hyperbolic_seg.datasets.augmentation import RandomCamera
from hyperbolic_seg.datasets.loading import LabelWholeImages, LoadVerifiedImage, LoadVocabularyAnnotations
from hyperbolic_seg.datasets.vocabulary_dataset import VocabularyDataset

__all__ = ['LabelWholeImages', 'LoadVerifiedImage', 'LoadVocabularyAnnotations', 'RandomCamera', 'VocabularyDataset']
