"""Hyperbolic layers for PyTorch and MMSegmentation, and HyperCLIP for the sky seen from the ground.

Importing the package registers its modules with MMSegmentation where that is installed, which is
what ``custom_imports = dict(imports=['hyperbolic_seg'])`` of a config relies on. Without it,
:mod:`hyperbolic_seg.geometry` and :mod:`hyperbolic_seg.layers` work on torch, numpy and geoopt alone.
"""

import sys
from contextlib import redirect_stdout
from importlib.util import find_spec

from hyperbolic_seg.version import __version__

if find_spec('mmseg') is not None:
    with redirect_stdout(sys.stderr):  # MMSegmentation prints what it does without; a program's output is its own
        from hyperbolic_seg import datasets, engine, evaluation, models, visualization  # noqa: F401

__all__ = ['__version__']
