"""Vision towers of open_clip: what is dense in each kind of them."""

from typing import Any

from hyperbolic_seg.models.backbones.towers.base import DenseOptions, Tower
from hyperbolic_seg.models.backbones.towers.open_clip_vit import OpenCLIPViT
from hyperbolic_seg.models.backbones.towers.timm_convnext import TimmConvNeXt
from hyperbolic_seg.models.backbones.towers.timm_vit import TimmViT

__all__ = ['DenseOptions', 'Tower', 'find_tower']

TOWERS: tuple[type[Tower], ...] = (OpenCLIPViT, TimmViT, TimmConvNeXt)
"""Kinds of towers with dense features in the joint space."""


def find_tower(name: str, visual: Any, options: DenseOptions) -> Tower:
    """Return what computes the dense features of a vision tower.

    Args:
        name: Name of the model, for messages.
        visual: Vision tower of an open_clip model.
        options: How its features are made dense.

    Raises:
        ValueError: The tower has no dense features in the joint space, or an option has no meaning for it.
    """
    for kind in TOWERS:
        if kind.fits(visual):
            tower = kind(options)
            tower.check(name, visual)
            return tower
    inner = type(getattr(visual, 'trunk', visual)).__name__
    raise ValueError(
        f'{name} has a vision tower ({inner}) without dense features in its joint space; '
        f'expected one of: {"; ".join(kind.description for kind in TOWERS)}'
    )
