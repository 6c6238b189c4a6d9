"""Augmentation by the differences between cameras."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

from hyperbolic_seg.options import check_number


@TRANSFORMS.register_module()
class RandomCamera(BaseTransform):
    """Render an image as another camera might: exposure, white balance, saturation, tone, blur, noise and JPEG.

    Exposure and white balance are gains on linear light, and clip as in a sensor. The other effects act on the
    developed image. Labels do not change.

    Args:
        exposure: Standard deviation of the exposure, in stops.
        white_balance: Standard deviation of the gains of red and blue relative to green, in stops.
        saturation: Range of the factor on the distance from gray.
        gamma: Standard deviation of the logarithm of the exponent of the tone curve.
        blur: Largest standard deviation of a Gaussian blur, in pixels.
        noise: Largest standard deviation of Gaussian noise, in levels of 255.
        jpeg: Lowest quality of JPEG compression, 1 to 100; 100 applies none.
        prob: Probability that an image is changed.

    Raises:
        TypeError: An argument is not a number, or ``saturation`` not a range.
        ValueError: A number is out of bounds.
    """

    def __init__(
        self,
        exposure: float = 0.4,
        white_balance: float = 0.2,
        saturation: tuple[float, float] = (0.5, 1.4),
        gamma: float = 0.15,
        blur: float = 1.0,
        noise: float = 6.0,
        jpeg: int = 50,
        prob: float = 0.9,
    ) -> None:
        spreads = dict(exposure=exposure, white_balance=white_balance, gamma=gamma, blur=blur, noise=noise)
        for name, spread in spreads.items():
            check_number(name, spread, least=0)
        check_number('prob', prob, least=0, most=1)
        check_number('jpeg', jpeg, least=1, most=100)
        if not isinstance(saturation, Sequence) or len(saturation) != 2:
            raise TypeError(f'saturation={saturation!r}: expected a range of two numbers')
        check_number('saturation', saturation[0], least=0)
        check_number('saturation', saturation[1], least=saturation[0])
        self.exposure, self.white_balance, self.saturation, self.gamma = exposure, white_balance, saturation, gamma
        self.blur, self.noise, self.jpeg, self.prob = blur, noise, jpeg, prob

    # No docstring: Sphinx fails on methods under mmcv's decorator.
    @cache_randomness
    def _draw(self) -> dict[str, Any]:
        blue, red = np.random.normal(0, self.white_balance, 2)
        return dict(
            gains=2 ** (np.random.normal(0, self.exposure) + np.array([blue, 0, red])),
            saturation=np.random.uniform(*self.saturation),
            exponent=np.exp(np.random.normal(0, self.gamma)),
            blur=np.random.uniform(0, self.blur),
            noise=np.random.uniform(0, self.noise),
            quality=np.random.randint(self.jpeg, 101),
            seed=np.random.randint(2**31),
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``img``, uint8 BGR (H, W, 3)."""
        if np.random.random() < self.prob:
            results['img'] = develop(results['img'], **self._draw())
        return results

    def __repr__(self) -> str:
        settings = ', '.join(f'{name}={value}' for name, value in vars(self).items())
        return f'{type(self).__name__}({settings})'


def develop(
    image: NDArray[np.uint8],
    *,
    gains: NDArray[np.float64],
    saturation: float,
    exponent: float,
    blur: float,
    noise: float,
    quality: int,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """Return an image as another camera would have developed it, see :class:`RandomCamera`.

    Args:
        image: BGR image, (H, W, 3).
        gains: Gains of blue, green and red on linear light, (3,).
        saturation: Factor on the distance from gray.
        exponent: Exponent of the tone curve; 1 leaves it unchanged.
        blur: Standard deviation of the blur in pixels.
        noise: Standard deviation of the noise in levels of 255.
        quality: JPEG quality; 100 applies no compression.
        seed: Seed of the noise.

    Returns:
        BGR image, (H, W, 3).
    """
    levels = np.linspace(0, 1, 256)[:, None]
    # A power of 2.2 stands for the sRGB curve. One table per channel applies gains and both curves at once.
    tables = np.clip(levels**2.2 * gains, 0, 1) ** (exponent / 2.2)
    colors: NDArray[Any] = np.stack([tables[image[..., k], k] for k in range(3)], -1).astype(np.float32)
    gray = (colors @ np.array([0.114, 0.587, 0.299], np.float32))[..., None]
    colors = gray + saturation * (colors - gray)
    if blur > 0.2:  # below, OpenCV's kernel is a single pixel
        colors = cv2.GaussianBlur(colors, (0, 0), blur)
    if noise > 0:
        colors = colors + np.random.default_rng(seed).normal(0, noise / 255, colors.shape).astype(np.float32)
    developed = np.clip(255 * colors + 0.5, 0, 255).astype(np.uint8)
    if quality >= 100:
        return developed
    _, content = cv2.imencode('.jpg', developed, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)
