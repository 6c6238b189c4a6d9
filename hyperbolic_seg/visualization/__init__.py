"""What people look at: panels, overlays and legends."""

from hyperbolic_seg.visualization.panels import blend, color_labels, color_radius, legend, legend_width, panel
from hyperbolic_seg.visualization.visualizer import HyperSegVisualizer

__all__ = ['HyperSegVisualizer', 'blend', 'color_labels', 'color_radius', 'legend', 'legend_width', 'panel']
