"""Datasets on disk and their transforms."""

from hyperbolic_seg.datasets.augmentation import RandomCamera
from hyperbolic_seg.datasets.loading import LabelPictures, LoadCloudAnnotations, LoadSkyImage
from hyperbolic_seg.datasets.vocabulary_dataset import VocabularyDataset

__all__ = ['LabelPictures', 'LoadCloudAnnotations', 'LoadSkyImage', 'RandomCamera', 'VocabularyDataset']
