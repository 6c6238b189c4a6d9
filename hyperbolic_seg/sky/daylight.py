"""White balance for images of the sky under street lamps."""

from typing import Any

import torch
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor

_GAMMA = 2.2  # stands for the sRGB curve
_LEAST_LIGHT = 1e-6  # to divide by in a black image


@MODELS.register_module()
class DaylightPreProcessor(SegDataPreProcessor):
    """MMSegmentation's data preprocessor, preceded by :func:`to_daylight`.

    Images come as BGR, as MMSegmentation loads them.

    Args:
        blueness: Ratio of mean blue to mean red light that warm images get.
        **kwargs: Arguments of :class:`mmseg.models.SegDataPreProcessor`.

    Raises:
        ValueError: ``blueness`` is not positive.
    """

    def __init__(self, blueness: float = 1.2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if blueness <= 0:
            raise ValueError(f'blueness={blueness}: expected a positive ratio of blue to red light, such as 1.2')
        self.blueness = blueness

    def adjust_colors(self, images: Tensor) -> Tensor:
        """Return RGB images from 0 to 255, (..., 3, H, W), balanced to daylight; exported models include this."""
        return to_daylight(images, self.blueness)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Balance each image on its own, then normalize, pad and stack the images."""
        data = self.cast_data(data)
        balanced = [self.adjust_colors(image.float().flip(0)).flip(0) for image in data['inputs']]
        normalized: dict[str, Any] = super().forward(dict(data, inputs=balanced), training)
        return normalized


def to_daylight(images: Tensor, blueness: float = 1.2) -> Tensor:
    """Balance images that are warmer than gray on average to the blueness of the sky by day.

    On average the sky by day is at least as blue as red; at night, under sodium lamps, the sky of a town is orange.
    Gains on the linear red and blue light correct that at equal brightness. Images bluer than red stay unchanged. A sky
    reddened by a low sun is mistaken for one under lamps.

    Args:
        images: RGB images from 0 to 255, (..., 3, H, W).
        blueness: Ratio of mean blue to mean red light that warm images get.

    Returns:
        RGB images from 0 to 255, same shape.

    Raises:
        ValueError: The images do not have three channels.
    """
    if images.shape[-3] != 3:
        raise ValueError(f'expected RGB images, got images of {images.shape[-3]} channels: convert them')
    light = (images.clamp(0, 255) / 255) ** _GAMMA
    red, _, blue = light.mean((-2, -1), keepdim=True).clamp_min(_LEAST_LIGHT).unbind(-3)
    gain = torch.where(blue < red, (blueness * red / blue).sqrt(), torch.ones_like(red))
    corrected = light * torch.stack([1 / gain, torch.ones_like(gain), gain], -3)
    before, after = (part.mean((-3, -2, -1), keepdim=True).clamp_min(_LEAST_LIGHT) for part in (light, corrected))
    balanced = 255 * (corrected * before / after).clamp(0, 1) ** (1 / _GAMMA)
    return torch.where((gain > 1).unsqueeze(-3), balanced, images)
