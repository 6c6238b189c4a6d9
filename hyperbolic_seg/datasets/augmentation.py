"""Augmentation that makes a model indifferent to the camera."""

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
    """Develop a picture as another camera might have: exposure, white balance, saturation, tone, blur, noise, JPEG.

    Exposure and white balance are gains on linear light, as in a sensor, and clip as it does; the rest happens to
    the developed picture. The labels stay as they are.

    Args:
        exposure: Standard deviation of the exposure, in stops.
        white_balance: Standard deviation of the gains of red and blue against green, in stops.
        saturation: Range of the factor on the distance from grey.
        gamma: Standard deviation of the logarithm of the exponent of the tone curve.
        blur: Largest standard deviation of a Gaussian blur, in pixels.
        noise: Largest standard deviation of Gaussian noise, in grey levels of 255.
        jpeg: Lowest quality of JPEG compression, 1 to 100; 100 for none.
        prob: Probability that a picture is changed at all.

    Raises:
        ValueError: A range or probability is not one.
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

    # No docstring: mmcv's decorator makes of this what Sphinx cannot look at.
    @cache_randomness
    def _draw(self) -> dict:
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

    def transform(self, results: dict) -> dict:
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
    """Develop a picture anew; see :class:`RandomCamera` for what is done.

    Args:
        image: (H, W, 3), BGR.
        gains: Of blue, green and red, on linear light.
        saturation: Factor on the distance from grey.
        exponent: Of the tone curve, 1 for none.
        blur: Standard deviation in pixels.
        noise: Standard deviation in grey levels.
        quality: Of JPEG, 100 for none.
        seed: Of the noise.
    """
    levels = np.linspace(0, 1, 256)[:, None]
    # A power of 2.2 stands for the sRGB curve; one table for each channel does gains and both curves at once.
    tables = np.clip(levels**2.2 * gains, 0, 1) ** (exponent / 2.2)
    picture: NDArray[Any] = np.stack([tables[image[..., k], k] for k in range(3)], -1).astype(np.float32)
    grey = picture @ np.array([0.114, 0.587, 0.299], np.float32)
    picture = grey[..., None] + saturation * (picture - grey[..., None])
    if blur > 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    if noise > 0:
        picture = picture + np.random.default_rng(seed).normal(0, noise / 255, picture.shape).astype(np.float32)
    developed = np.clip(255 * picture + 0.5, 0, 255).astype(np.uint8)
    if quality >= 100:
        return developed
    _, content = cv2.imencode('.jpg', developed, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)
