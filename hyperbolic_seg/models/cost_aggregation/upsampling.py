"""Upsampling of aggregated costs, guided by feature maps of the image."""

from torch import Tensor, cat, nn


class GuidedUp(nn.Module):
    """Double the side of maps and refine them with finer features of the image.

    Args:
        in_channels: Channels of the maps.
        out_channels: Channels of the outcome.
        guidance_channels: Channels of the features of the image, at twice the size.

    Raises:
        ValueError: The guidance has as many channels as the maps, or more.
    """

    def __init__(self, in_channels: int, out_channels: int, guidance_channels: int) -> None:
        super().__init__()
        if guidance_channels >= in_channels:
            raise ValueError(f'guidance of {guidance_channels} channels beside maps of {in_channels}: expected fewer')
        self.up = nn.ConvTranspose2d(in_channels, in_channels - guidance_channels, 2, stride=2)
        self.refine = double_conv(in_channels, out_channels)

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """Return maps (N, K, out_channels, 2 H, 2 W).

        Args:
            x: Maps of K classes, (N, K, in_channels, H, W).
            guidance: (N, guidance_channels, 2 H, 2 W).
        """
        classes = x.shape[1]
        of_classes = guidance.unsqueeze(1).expand(-1, classes, -1, -1, -1).flatten(0, 1)
        fine = self.refine(cat([self.up(x.flatten(0, 1)), of_classes], 1))
        maps: Tensor = fine.unflatten(0, x.shape[:2])
        return maps


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return two convolutions of 3 x 3, each with group norm and ReLU."""
    return nn.Sequential(*_conv(in_channels, out_channels), *_conv(out_channels, out_channels))


def _conv(in_channels: int, out_channels: int) -> list[nn.Module]:
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return [conv, nn.GroupNorm(max(out_channels // 16, 1), out_channels), nn.ReLU(inplace=True)]
