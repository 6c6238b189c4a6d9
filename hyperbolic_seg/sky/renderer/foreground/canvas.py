"""Picture that elements are painted on from back to front, with the share of each label in every pixel."""

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.sky.renderer.foreground.rays import Rays
from hyperbolic_seg.sky.renderer.labels import SkyLabel
from hyperbolic_seg.sky.renderer.noise import Field

KINDS = (SkyLabel.BUILDING, SkyLabel.TREE, SkyLabel.TERRAIN, SkyLabel.STRUCTURE)
"""Labels of the elements of a foreground."""

_HALF = np.float32(0.5)


class Canvas:
    """Linear light of a picture, and what covers each pixel.

    Args:
        radiance: Light of the sky, (3, H, W); changed in place.
    """

    def __init__(self, radiance: Field) -> None:
        self.radiance = radiance
        self._shares = np.zeros((len(KINDS), *radiance.shape[1:]), np.float32)

    def cover(self, rays: Rays, label: SkyLabel, coverage: Field, color: Field) -> None:
        """Paint an element over a window.

        Args:
            rays: The window.
            label: One of :data:`KINDS`.
            coverage: Share of each pixel that the element covers, (h, w).
            color: Its light, (3, h, w) or broadcastable.
        """
        place = (slice(None), rays.rows, rays.columns)
        ground = self.radiance[place]
        ground += (color - ground) * coverage
        shares = self._shares[place]
        shares *= np.float32(1) - coverage
        shares[KINDS.index(label)] += coverage

    @property
    def hidden(self) -> Field:
        """Share of each pixel in front of which something stands, (H, W)."""
        hidden: Field = self._shares.sum(axis=0)
        return hidden

    def label(self, labels: NDArray[np.uint8]) -> None:
        """Label the pixels more than half covered, (H, W), in place: by their element, or as a mixed obstruction."""
        # Shares add up to 1 within the rounding of their sums.
        hidden = self.hidden > _HALF
        most = self._shares.max(axis=0)
        names = np.array(KINDS, np.uint8)[self._shares.argmax(axis=0)]
        found = np.where(most > _HALF, names, np.uint8(SkyLabel.OBSTRUCTION))
        labels[hidden] = found[hidden]
