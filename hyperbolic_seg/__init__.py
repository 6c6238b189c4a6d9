"""Hyperbolic layers for PyTorch and MMSegmentation, and HyperCLIP for the sky seen from the ground.

Importing the package costs nothing. :mod:`hyperbolic_seg.geometry` and :mod:`hyperbolic_seg.layers` need torch, numpy
and geoopt alone. A config plugs the rest into MMSegmentation by the import of :mod:`hyperbolic_seg.plugin`.
"""

import sys

from hyperbolic_seg.version import __version__

if 'mmengine' in sys.modules:  # configs may also name the package itself in their custom_imports
    from importlib.util import find_spec

    if find_spec('mmseg') is not None:
        from hyperbolic_seg import plugin  # noqa: F401

__all__ = ['__version__']
