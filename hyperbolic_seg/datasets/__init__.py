"""Sky images: data sets on disk, the procedural sky and their transforms."""

from hyperbolic_seg.datasets.augmentation import RandomCamera
from hyperbolic_seg.datasets.ground_cloud import GroundCloudDataset
from hyperbolic_seg.datasets.loading import LabelPictures, LoadCloudAnnotations, LoadSkyImage
from hyperbolic_seg.datasets.sky_dataset import ProceduralSkyDataset

__all__ = [
    'GroundCloudDataset',
    'LabelPictures',
    'LoadCloudAnnotations',
    'LoadSkyImage',
    'ProceduralSkyDataset',
    'RandomCamera',
]
