"""Hyperbolic layers for PyTorch and MMSegmentation, and HyperCLIP for open-vocabulary segmentation.

Importing the package imports nothing else; the names below are imported when they are first used.
:mod:`hyperbolic_seg.geometry` and :mod:`hyperbolic_seg.layers` need torch, numpy and geoopt alone. A config plugs the
rest into MMSegmentation by importing :mod:`hyperbolic_seg.plugin`.
"""

import sys
from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach
from hyperbolic_seg.version import __version__

if TYPE_CHECKING:
    from hyperbolic_seg.apis.inferencer import HyperSegInferencer, load_model
    from hyperbolic_seg.apis.releases import list_models
    from hyperbolic_seg.text.taxonomy import Taxonomy
    from hyperbolic_seg.text.vocabulary import Vocabulary

__all__ = ['HyperSegInferencer', 'Taxonomy', 'Vocabulary', '__version__', 'list_models', 'load_model']
__getattr__ = attach(
    __name__,
    dict(
        HyperSegInferencer='apis.inferencer',
        Taxonomy='text.taxonomy',
        Vocabulary='text.vocabulary',
        list_models='apis.releases',
        load_model='apis.inferencer',
    ),
)

if 'mmengine' in sys.modules:  # configs may name the package itself in their custom_imports
    from importlib.util import find_spec

    if find_spec('mmseg') is not None:
        from hyperbolic_seg import plugin  # noqa: F401
