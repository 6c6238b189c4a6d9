"""A white balance for skies that lamps light."""

from typing import Any

import torch
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor

_CURVE = 2.2  # exponent that stands for the sRGB curve
_NONE = 1e-6  # light that is taken for none


@MODELS.register_module()
class DaylightPreProcessor(SegDataPreProcessor):
    """MMSegmentation's data preprocessor, after :func:`to_daylight`.

    Pictures come in the order blue, green, red, as MMSegmentation loads them.

    Args:
        blueness: As for :func:`to_daylight`.
        **kwargs: As for :class:`mmseg.models.SegDataPreProcessor`.

    Raises:
        ValueError: ``blueness`` is not positive.
    """

    def __init__(self, blueness: float = 1.2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if blueness <= 0:
            raise ValueError(f'blueness={blueness}: expected a positive ratio of blue to red light, such as 1.2')
        self.blueness = blueness

    def forward(self, data: dict, training: bool = False) -> dict:
        """Balance every picture by itself, then normalise, pad and stack them."""
        data = self.cast_data(data)
        balanced = [to_daylight(picture.float().flip(0), self.blueness).flip(0) for picture in data['inputs']]
        return super().forward(dict(data, inputs=balanced), training)


def to_daylight(levels: Tensor, blueness: float = 1.2) -> Tensor:
    """Give pictures that are warmer than grey as a whole the blueness of a sky by day.

    By day the sky as a whole is at least as blue as it is red; by night, under sodium lamps, that of a town is orange.
    Gains of red and blue undo that, on linear light and at the same brightness. Pictures that are bluer than red stay
    as they are. A sky that a low sun reddens is taken for one under lamps.

    Args:
        levels: Grey levels 0 to 255 of red, green and blue, (..., 3, H, W).
        blueness: Ratio of the mean blue to the mean red light that warm pictures get.

    Returns:
        Grey levels 0 to 255, in the shape given.

    Raises:
        ValueError: The pictures have not three channels.
    """
    if levels.shape[-3] != 3:
        raise ValueError(f'expected red, green and blue, got pictures of {levels.shape[-3]} channels: convert them')
    light = (levels.clamp(0, 255) / 255) ** _CURVE
    red, _, blue = light.mean((-2, -1), keepdim=True).clamp_min(_NONE).unbind(-3)
    change = torch.where(blue < red, (blueness * red / blue).sqrt(), torch.ones_like(red))
    developed = light * torch.stack([1 / change, torch.ones_like(change), change], -3)
    brightness = [part.mean((-3, -2, -1), keepdim=True).clamp_min(_NONE) for part in (light, developed)]
    balanced = 255 * (developed * brightness[0] / brightness[1]).clamp(0, 1) ** (1 / _CURVE)
    return torch.where((change > 1).unsqueeze(-3), balanced, levels)
