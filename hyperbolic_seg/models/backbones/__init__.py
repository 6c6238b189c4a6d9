"""Image encoders."""

from hyperbolic_seg.models.backbones.timm_unet import TimmUNet

__all__ = ['TimmUNet']
