"""Hyperbolic layers for PyTorch and MMSegmentation, and HyperCLIP for the sky seen from the ground.

Importing the package registers its modules with MMSegmentation where that is installed, which is
what ``custom_imports = dict(imports=['hyperbolic_seg'])`` of a config relies on. Without it,
:mod:`hyperbolic_seg.geometry` and :mod:`hyperbolic_seg.layers` work on torch, numpy and geoopt alone.
"""

import io
import sys
import warnings
from contextlib import redirect_stdout
from importlib.util import find_spec

from hyperbolic_seg.version import __version__

_OF_NO_USE = ('`torch.jit.script` is deprecated', 'Fail to import ``MultiScaleDeformableAttention``')
"""What libraries say on their import that nobody can do anything about."""

if find_spec('mmseg') is not None:
    if not sys.warnoptions:
        for start in _OF_NO_USE:
            warnings.filterwarnings('ignore', message=start)
    with redirect_stdout(io.StringIO()):  # MMSegmentation prints notes on what it does without
        from hyperbolic_seg import datasets, engine, evaluation, models, visualization  # noqa: F401

__all__ = ['__version__']
