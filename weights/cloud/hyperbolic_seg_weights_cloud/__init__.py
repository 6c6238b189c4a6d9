"""Weights of the model hyperclip-unet-cloud for hyperbolic_seg, under CC BY-NC 4.0."""
