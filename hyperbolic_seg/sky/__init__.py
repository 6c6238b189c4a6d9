"""The sky: defaults, vocabularies, datasets, metric, renderer and cameras."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.sky.cloud_cover_metric import CloudCoverMetric
    from hyperbolic_seg.sky.daylight import DaylightPreProcessor, to_daylight
    from hyperbolic_seg.sky.defaults import (
        CLEAR_SKY,
        CLOUD,
        NOT_SKY,
        TAXONOMY,
        TEMPLATES,
        known_words,
        load_taxonomy,
    )
    from hyperbolic_seg.sky.ground_cloud import GroundCloudDataset
    from hyperbolic_seg.sky.rendered_dataset import ProceduralSkyDataset

__all__ = [
    'CLEAR_SKY',
    'CLOUD',
    'NOT_SKY',
    'TAXONOMY',
    'TEMPLATES',
    'CloudCoverMetric',
    'DaylightPreProcessor',
    'GroundCloudDataset',
    'ProceduralSkyDataset',
    'known_words',
    'load_taxonomy',
    'to_daylight',
]
__getattr__ = attach(
    __name__,
    dict(
        CLEAR_SKY='defaults',
        CLOUD='defaults',
        NOT_SKY='defaults',
        TAXONOMY='defaults',
        TEMPLATES='defaults',
        CloudCoverMetric='cloud_cover_metric',
        DaylightPreProcessor='daylight',
        GroundCloudDataset='ground_cloud',
        ProceduralSkyDataset='rendered_dataset',
        known_words='defaults',
        load_taxonomy='defaults',
        to_daylight='daylight',
    ),
)
