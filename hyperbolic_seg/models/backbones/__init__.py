"""Image encoders."""

from hyperbolic_seg.models.backbones.open_clip_vision import OpenCLIPVisionBackbone
from hyperbolic_seg.models.backbones.proxy_clip import ProxyCLIPBackbone
from hyperbolic_seg.models.backbones.timm_unet import TimmUNet

__all__ = ['OpenCLIPVisionBackbone', 'ProxyCLIPBackbone', 'TimmUNet']
