"""Everything that speaks of the sky: its vocabularies, datasets, renderer and cameras."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.sky.ground_cloud import GroundCloudDataset
    from hyperbolic_seg.sky.rendered_dataset import ProceduralSkyDataset

__all__ = ['GroundCloudDataset', 'ProceduralSkyDataset']
__getattr__ = attach(__name__, dict(GroundCloudDataset='ground_cloud', ProceduralSkyDataset='rendered_dataset'))
