"""Figures: panels, overlays, legends, taxonomies and histograms of radii."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.visualization.panels import (
        RGB,
        blend,
        color_labels,
        color_values,
        legend,
        legend_width,
        panel,
        panel_width,
    )
    from hyperbolic_seg.visualization.radius_histogram import draw_radius_histogram
    from hyperbolic_seg.visualization.tree import draw_taxonomy
    from hyperbolic_seg.visualization.visualizer import HyperSegVisualizer

__all__ = [
    'RGB',
    'HyperSegVisualizer',
    'blend',
    'color_labels',
    'color_values',
    'draw_radius_histogram',
    'draw_taxonomy',
    'legend',
    'legend_width',
    'panel',
    'panel_width',
]
__getattr__ = attach(
    __name__,
    dict(
        RGB='panels',
        HyperSegVisualizer='visualizer',
        blend='panels',
        color_labels='panels',
        color_values='panels',
        draw_radius_histogram='radius_histogram',
        draw_taxonomy='tree',
        legend='panels',
        legend_width='panels',
        panel='panels',
        panel_width='panels',
    ),
)
