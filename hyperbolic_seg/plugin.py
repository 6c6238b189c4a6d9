"""Plugin for MMSegmentation: importing this module registers everything that a config can name.

A config imports it with one line::

    custom_imports = dict(imports=['hyperbolic_seg.plugin'], allow_failed_imports=False)

MMSegmentation prints two lines about an optional package when it is imported.
"""

from hyperbolic_seg import engine, models  # noqa: F401
from hyperbolic_seg.datasets import (  # noqa: F401
    annotations,
    attributes,
    augmentation,
    foreground,
    loading,
    vocabulary_dataset,
)
from hyperbolic_seg.evaluation import hierarchical_metric, iou_metric  # noqa: F401
from hyperbolic_seg.sky import cloud_cover_metric, daylight, ground_cloud, rendered_dataset  # noqa: F401
from hyperbolic_seg.visualization import visualizer  # noqa: F401
