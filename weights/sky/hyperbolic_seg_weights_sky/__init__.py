"""Weights of the model hyperclip-unet-sky for hyperbolic_seg, under Apache-2.0."""
